-- A sign-up that ended after its shift had begun keeps the right to what was begun before. Ends from before this migration
-- have no moment: the events of opportunities did not tell it.
ALTER TABLE signup ADD COLUMN served_until timestamptz;

CREATE OR REPLACE VIEW audit_signup AS SELECT id, state, served_until FROM signup;
