-- Quarantined messages that an operator discarded: what they were with their bytes, who decided so, when and why.
-- Nothing reads them back; a message that was discarded by mistake is published again by hand.
CREATE TABLE discarded (
    seq          bigint      PRIMARY KEY,   -- as it was in set_aside
    reason       text        NOT NULL,
    subject      text,
    topic        text        NOT NULL,
    partition    int         NOT NULL,
    "offset"     bigint      NOT NULL,
    "timestamp"  bigint      NOT NULL,
    key          bytea,
    headers      bytea       NOT NULL,
    value        bytea,
    detail       text,
    attempts     int         NOT NULL,
    received_at  timestamptz NOT NULL,
    discarded_at timestamptz NOT NULL,
    discarded_by text        NOT NULL,
    why          text        NOT NULL CHECK (why <> '')
);
