-- Projects, shifts and sign-ups of the linkage. Constraints are the second guard behind rules.py.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE project (
    host           text NOT NULL,
    project_ref    text NOT NULL,
    version        bigint NOT NULL,
    title          text NOT NULL,
    category       text NOT NULL,
    campaign_ref   text,
    campaign_title text,
    organiser_ref  text NOT NULL,
    state          text NOT NULL CHECK (state IN ('open', 'closed')),
    words          text GENERATED ALWAYS AS (lower(title || ' ' || coalesce(campaign_title, ''))) STORED, -- searched
    PRIMARY KEY (host, project_ref)
);

CREATE TABLE shift (
    host             text NOT NULL,
    project_ref      text NOT NULL,
    shift_ref        text NOT NULL,
    version          bigint NOT NULL,
    starts_at        timestamptz NOT NULL,
    ends_at          timestamptz NOT NULL,
    signup_opens_at  timestamptz NOT NULL,
    signup_closes_at timestamptz NOT NULL,
    posts            bigint NOT NULL CHECK (posts >= 0),
    waitlist_posts   bigint NOT NULL CHECK (waitlist_posts >= 0),
    minimum_age      bigint NOT NULL,
    division_code    text COLLATE "C" NOT NULL,
    place_text       text NOT NULL,
    state            text NOT NULL CHECK (state IN ('open', 'cancelled')),
    confirmed        bigint NOT NULL CHECK (confirmed >= 0),
    waitlisted       bigint NOT NULL CHECK (waitlisted >= 0),
    capacity         bigint NOT NULL CHECK (capacity >= posts),
    last_position    bigint NOT NULL CHECK (last_position >= 0),
    words            text GENERATED ALWAYS AS (lower(place_text)) STORED, -- searched
    PRIMARY KEY (host, project_ref, shift_ref),
    CONSTRAINT shift_window CHECK (starts_at < ends_at),
    CONSTRAINT shift_never_overbooked CHECK (confirmed <= capacity)
);

-- The order of search pages; and the same within a district.
CREATE INDEX shift_by_time ON shift (starts_at, host, project_ref, shift_ref) WHERE state = 'open';
CREATE INDEX shift_by_district ON shift (division_code, starts_at) WHERE state = 'open';

CREATE TABLE signup (
    signup_id   uuid PRIMARY KEY,
    person      uuid NOT NULL,
    host        text NOT NULL,
    project_ref text NOT NULL,
    shift_ref   text NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('confirmed', 'waitlisted', 'reported', 'withdrawn')),
    position    bigint,
    asker       text NOT NULL,
    signup_ref  text NOT NULL,
    origin      jsonb NOT NULL,
    CONSTRAINT signup_in_line CHECK ((state = 'waitlisted') = (position IS NOT NULL)),
    -- Deferred: within a batch one window may be given before the other is given back.
    CONSTRAINT signup_one_place_at_a_time EXCLUDE USING gist (person WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (state IN ('confirmed', 'waitlisted', 'reported')) DEFERRABLE INITIALLY DEFERRED
);

-- Everyone of a shift by state; the line in its order.
CREATE INDEX signup_of_shift ON signup (host, project_ref, shift_ref, state, position);

CREATE TABLE signup_outcome (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decision   uuid NOT NULL,
    signup_id  uuid NOT NULL,
    outcome    text NOT NULL CHECK (outcome IN ('confirmed', 'waitlisted', 'refused', 'promoted', 'withdrawn')),
    reason     text,
    decided_at timestamptz NOT NULL,
    CONSTRAINT outcome_refused_with_reason CHECK (outcome <> 'refused' OR reason IS NOT NULL)
);
