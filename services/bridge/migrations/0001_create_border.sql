-- Whose ref is whose. person is empty while a link request is under way.
CREATE TABLE account (
    registry text NOT NULL,
    ref      text NOT NULL,
    person   uuid,
    role     text NOT NULL CHECK (role IN ('home', 'host')),
    request  text,
    PRIMARY KEY (registry, ref)
);

CREATE TABLE link (
    person            uuid        NOT NULL,
    host              text        NOT NULL,
    host_ref          text        NOT NULL,
    home              text        NOT NULL,
    home_ref          text        NOT NULL,
    age_band          text        NOT NULL,
    guardian_approved boolean     NOT NULL,
    link_version      bigint      NOT NULL,
    state             text        NOT NULL CHECK (state IN ('active', 'broken')),
    since             timestamptz NOT NULL,
    PRIMARY KEY (person, host),
    UNIQUE (host, host_ref),
    CHECK (home <> host)
);

-- By refs, not persons: consent may be given or withdrawn before the link is there (rules 38-40).
CREATE TABLE consent (
    home        text   NOT NULL,
    home_ref    text   NOT NULL,
    host        text   NOT NULL,
    version     bigint NOT NULL,
    state       text   NOT NULL CHECK (state IN ('given', 'withdrawn')),
    valid_until timestamptz,
    PRIMARY KEY (home, home_ref, host)
);

CREATE TABLE service_record (
    host            text   NOT NULL,
    record_ref      text   NOT NULL,
    person          uuid   NOT NULL,
    home            text   NOT NULL,
    record          jsonb  NOT NULL,
    state           text   NOT NULL CHECK (state IN ('confirmed', 'held', 'revoked')),
    reason          text,
    minutes         bigint NOT NULL CHECK (minutes BETWEEN 0 AND 1440),
    settled_version bigint NOT NULL,
    total           bigint NOT NULL CHECK (total BETWEEN 0 AND 1440),
    posted          bigint NOT NULL CHECK (posted BETWEEN 0 AND 1440),
    transfer_id     uuid,
    PRIMARY KEY (host, record_ref),
    CHECK (home <> host OR transfer_id IS NULL)
);
CREATE INDEX service_record_by_person ON service_record (person);

CREATE TABLE transfer (
    id         uuid        PRIMARY KEY,
    host       text        NOT NULL,
    record_ref text        NOT NULL,
    person     uuid        NOT NULL,
    home       text        NOT NULL,
    home_ref   text        NOT NULL,
    version    bigint      NOT NULL,
    record     jsonb       NOT NULL,
    total      bigint      NOT NULL CHECK (total BETWEEN 0 AND 1440),
    delta      bigint      NOT NULL CHECK (delta BETWEEN -1440 AND 1440),
    state      text        NOT NULL CHECK (state IN
        ('queued', 'withheld', 'sent', 'uncertain', 'credited', 'refused', 'superseded')),
    reason     text,
    attempts   bigint      NOT NULL CHECK (attempts >= 0),
    unanswered bigint      NOT NULL CHECK (unanswered BETWEEN 0 AND attempts),
    queried    boolean     NOT NULL,
    changed_at timestamptz NOT NULL,
    UNIQUE (host, record_ref, version),
    FOREIGN KEY (host, record_ref) REFERENCES service_record,
    CHECK (home <> host),
    CHECK (attempts > 0 OR state NOT IN ('sent', 'uncertain')),
    -- One transfer of a record is under way at a time: two could book the same minutes (DESIGN §3). Deferred, because
    -- one statement ends the first and sends the next.
    CONSTRAINT one_under_way EXCLUDE USING btree (host WITH =, record_ref WITH =)
        WHERE (state IN ('sent', 'uncertain')) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX transfer_open_by_record ON transfer (host, record_ref)
    WHERE state IN ('queued', 'withheld', 'sent', 'uncertain');
CREATE INDEX transfer_held_back_by_person ON transfer (person) WHERE state IN ('withheld', 'uncertain');

-- What happened to a person's links, sign-ups and hours. Rows are added, never changed.
CREATE TABLE step (
    number      bigint      GENERATED ALWAYS AS IDENTITY,
    id          uuid        PRIMARY KEY,
    person      uuid        NOT NULL,
    at          timestamptz NOT NULL,
    happened_at timestamptz NOT NULL,
    what        text        NOT NULL,
    host        text        NOT NULL,
    subject     text        NOT NULL,
    detail      jsonb       NOT NULL
);
CREATE INDEX step_by_person ON step (person, number);

-- What was refused to whom, for the tally. Rows are added, never changed.
CREATE TABLE refusal (
    id           uuid        PRIMARY KEY,
    registry     text        NOT NULL,
    reason       text        NOT NULL,
    message_type text        NOT NULL,
    at           timestamptz NOT NULL
);
