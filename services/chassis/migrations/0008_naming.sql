-- By what the naming secret is known with which this database was begun: another one would give the same persons and
-- events other ids.
CREATE TABLE naming (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    digest bytea   NOT NULL
);
-- Its id is another message's too, and an operator released it: what it leads to is named by its place in the log.
ALTER TABLE set_aside ADD COLUMN own_right boolean NOT NULL DEFAULT false;
