-- How far the relay has written each partition of the topics that it writes to. It is written in the statement that
-- deletes what was acknowledged: a message of this service behind it that is not in the outbox was said by a later life
-- of this database, so the database was restored.
CREATE TABLE said (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, partition)
);
-- The database was restored, and the replay of what came since has not ended.
CREATE TABLE restored (
    one   boolean     PRIMARY KEY DEFAULT true CHECK (one),
    since timestamptz NOT NULL DEFAULT now(),
    by    text        NOT NULL   -- who says so: the service itself, an operator, the restore command
);
-- What a later life of this database said. again: this life says it too, or something else under the same id.
CREATE TABLE said_since (
    source     text   NOT NULL,
    id         text   NOT NULL,
    topic      text   NOT NULL,
    partition  int    NOT NULL,
    "offset"   bigint NOT NULL,
    digest     bytea  NOT NULL,   -- of type and body, as in inbox
    decided_at timestamptz,
    again      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (source, id)
);
CREATE INDEX said_since_open ON said_since (source) WHERE NOT again;
