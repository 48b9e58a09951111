-- What a later life of this database told of the messages that it decided without a word: all of a partition before
-- next_offset that no earlier row tells of was decided after that moment.
CREATE TABLE said_passed (
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    next_offset bigint      NOT NULL,
    after       timestamptz NOT NULL,
    PRIMARY KEY (topic, partition, next_offset)
);
