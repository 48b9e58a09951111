-- What is written to find out whether the database takes writes: a row per name of a session.
CREATE TABLE probe (
    session text PRIMARY KEY,
    at      timestamptz NOT NULL
);
