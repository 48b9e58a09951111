-- Transfers on their way into the registry's ledger. seq is the order of arrival: one in flight per volunteer, in it.
CREATE TABLE credit (
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    transfer_id   uuid PRIMARY KEY,
    volunteer_ref text NOT NULL,
    body          jsonb,
    state         text NOT NULL CHECK (state IN ('due', 'calling', 'unknown', 'accepted', 'refused', 'uncertain')),
    attempts      bigint NOT NULL CHECK (attempts >= 0),
    due_at        timestamptz NOT NULL,
    posted_delta  bigint,
    posted_at     timestamptz,
    reason        text,
    retry         boolean NOT NULL,
    attempted_at  timestamptz,
    CHECK (state <> 'accepted' OR (posted_delta IS NOT NULL AND posted_at IS NOT NULL)),
    CHECK (body IS NOT NULL OR state <> 'due')
);
CREATE INDEX credit_open_of_volunteer ON credit (volunteer_ref, seq) WHERE state IN ('due', 'calling', 'unknown');
CREATE INDEX credit_to_call ON credit (seq) WHERE state IN ('due', 'unknown');

-- Messages to pass on; gone once the registry took them. One that it could not read stays, with what it said.
CREATE TABLE notice (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         uuid NOT NULL UNIQUE,
    own        boolean NOT NULL,
    source     text NOT NULL,
    message_id text NOT NULL,
    type       text NOT NULL,
    time       timestamptz NOT NULL,
    body       jsonb NOT NULL,
    rejected   text
);
CREATE INDEX notice_to_pass_on ON notice (seq) WHERE rejected IS NULL;
