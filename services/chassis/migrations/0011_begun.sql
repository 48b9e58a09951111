-- When each process of a later life of this database began, as its first message told.
CREATE TABLE said_begun (
    at timestamptz PRIMARY KEY
);
