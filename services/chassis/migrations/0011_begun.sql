-- Where partitions stood when a process of a later life of this database took them over, and when it began (at), as its
-- messages told.
CREATE TABLE said_begun (
    at          timestamptz NOT NULL,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    next_offset bigint      NOT NULL,
    PRIMARY KEY (at, topic, partition)
);
