-- Where the partitions stood when each process of a later life of this database began, as its first message told.
CREATE TABLE said_begun (
    at          timestamptz NOT NULL,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    next_offset bigint      NOT NULL,
    PRIMARY KEY (at, topic, partition)
);
