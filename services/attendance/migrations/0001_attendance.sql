CREATE EXTENSION IF NOT EXISTS btree_gist;

-- A copy of how every sign-up stands, from opportunities' events. The id stands for person and shift.
CREATE TABLE signup (
    id    uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('confirmed', 'promoted', 'noted', 'waitlisted', 'refused', 'withdrawn'))
);

-- Check-in and check-out, at most three pairs a sign-up and Shanghai day (rule 68).
CREATE TABLE presence (
    signup_id uuid        NOT NULL,
    day       date        NOT NULL,
    pair      integer     NOT NULL CHECK (pair BETWEEN 1 AND 3),
    came_at   timestamptz NOT NULL,
    left_at   timestamptz CHECK (left_at >= came_at),
    PRIMARY KEY (signup_id, day, pair)
);

-- The latest version of every service record, and beside it the version that counts (the last confirmed one).
CREATE TABLE service_record (
    host            text        NOT NULL,
    record_ref      text        NOT NULL,
    person          uuid        NOT NULL,
    signup_id       uuid        NOT NULL,
    version         integer     NOT NULL CHECK (version > 0),
    held_for        text        CHECK (held_for IN ('no_check_in', 'no_signup', 'overlap', 'duplicate', 'over_cap')),
    body            text        NOT NULL,
    attested_at     timestamptz NOT NULL,
    counted_version integer,
    counted_signup  uuid,
    counted_from    timestamptz,
    counted_to      timestamptz,
    counted_minutes integer     CHECK (counted_minutes BETWEEN 1 AND 1440),
    counted_day     date GENERATED ALWAYS AS ((counted_from AT TIME ZONE 'Asia/Shanghai')::date) STORED,
    PRIMARY KEY (host, record_ref),
    CHECK (num_nulls(counted_version, counted_signup, counted_from, counted_to, counted_minutes) IN (0, 5)),
    CHECK (counted_version <= version AND counted_from < counted_to),
    -- Deferred: one batch may free a span and give it to another record, in either order of rows.
    CONSTRAINT one_record_a_shift_and_day UNIQUE (counted_signup, counted_day) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT no_overlap_of_a_person EXCLUDE USING gist (person WITH =, tstzrange(counted_from, counted_to) WITH &&)
        WHERE (counted_version IS NOT NULL) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX service_record_by_day ON service_record (person, counted_day) WHERE counted_version IS NOT NULL;
CREATE INDEX service_record_held ON service_record (person) WHERE held_for IS NOT NULL;

-- What counts of a person on a Shanghai day over all registries, added up by the database itself (rule 72).
-- cap: what was allowed when the sum last rose.
CREATE TABLE person_day (
    person  uuid    NOT NULL,
    day     date    NOT NULL,
    minutes integer NOT NULL,
    cap     integer NOT NULL,
    PRIMARY KEY (person, day),
    CONSTRAINT minutes_within_cap CHECK (minutes >= 0 AND minutes <= cap)
);
