-- How far each partition was taken in: moves in the transaction that takes in.
CREATE TABLE position (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- Receipts on their way out, written in the transaction that posts.
CREATE TABLE outbox (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic   text NOT NULL,
    key     text NOT NULL,
    headers jsonb NOT NULL,
    value   bytea NOT NULL
);
