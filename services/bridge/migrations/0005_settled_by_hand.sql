-- What operators settled, who and why. Rows are added, never changed. Whether it was taken stands in the transfer.
CREATE TABLE settling (
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_id uuid        NOT NULL REFERENCES transfer,
    outcome     text        NOT NULL CHECK (outcome IN ('credited', 'refused')),
    operator    text        NOT NULL,
    why         text        NOT NULL,
    at          timestamptz NOT NULL
);
CREATE INDEX settling_of_transfer ON settling (transfer_id);
