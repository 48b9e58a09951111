-- What people did on the pages, in the order in which it is given to whoever asks.
CREATE TABLE spoken (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter jsonb NOT NULL
);
