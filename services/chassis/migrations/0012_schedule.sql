-- When each job of the service is due next. The row is locked while a process does a due, and moved on by the same
-- transaction. portion: how many portions of that due are done.
CREATE TABLE schedule (
    name     text        PRIMARY KEY,
    next_due timestamptz NOT NULL,
    portion  integer     NOT NULL DEFAULT 0 CHECK (portion >= 0)
);
