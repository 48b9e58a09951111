-- How far the registry was listened to: up to which of its numbers what people did there is in our outbox.
CREATE TABLE heard (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint  NOT NULL
);
INSERT INTO heard (number) VALUES (0);

-- What it said and we could not read, by its number.
CREATE TABLE not_understood (
    number   bigint      PRIMARY KEY,
    trouble  text        NOT NULL,
    heard_at timestamptz NOT NULL
);
