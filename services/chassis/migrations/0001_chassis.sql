-- Where each consumer group stands. PostgreSQL is the truth; Kafka's own offsets are a hint.
CREATE TABLE consumed (
    grp            text   NOT NULL,
    topic          text   NOT NULL,
    partition      int    NOT NULL,
    next_offset    bigint NOT NULL CHECK (next_offset >= 0),
    last_timestamp bigint,
    last_mark      text,   -- digest of the last message, read back to recognise a replaced log
    PRIMARY KEY (grp, topic, partition)
);

-- First sightings. Kept longer than any topic, or a reset offset would apply messages again.
CREATE TABLE inbox (
    source  text        NOT NULL,
    id      text        NOT NULL,
    digest  bytea       NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, id)
);

-- What batches lock, in name order. parked: something of this subject is set aside, later messages go behind it.
CREATE TABLE entity (
    name   text PRIMARY KEY,
    parked boolean NOT NULL DEFAULT false
);

-- Messages that are not applied (yet). Without a subject they block nothing.
CREATE TABLE set_aside (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason      text        NOT NULL,
    subject     text,
    fact        text,
    deadline    timestamptz,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    "offset"    bigint      NOT NULL,
    "timestamp" bigint      NOT NULL,
    key         bytea,
    headers     bytea       NOT NULL,
    value       bytea,
    detail      text,
    attempts    int         NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL,
    CHECK ((reason = 'waiting') = (fact IS NOT NULL AND deadline IS NOT NULL)),
    CHECK (reason NOT IN ('raised', 'behind', 'waiting', 'ready') OR subject IS NOT NULL)
);
CREATE INDEX set_aside_by_subject ON set_aside (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX set_aside_by_fact ON set_aside (fact) WHERE reason = 'waiting';
CREATE INDEX set_aside_by_deadline ON set_aside (deadline) WHERE reason = 'waiting';
CREATE INDEX set_aside_ready ON set_aside (seq) WHERE reason = 'ready';

CREATE TABLE outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin  text,          -- consumer group whose batch made the row; for the backlog limit
    topic   text  NOT NULL,
    key     text  NOT NULL,
    headers bytea NOT NULL,
    value   bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE timer (
    name    text PRIMARY KEY,
    due     timestamptz NOT NULL,
    topic   text  NOT NULL,
    key     text  NOT NULL,
    headers bytea NOT NULL,
    value   bytea NOT NULL
);
CREATE INDEX timer_by_due ON timer (due);
