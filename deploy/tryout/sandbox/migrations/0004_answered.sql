-- Numbers of sign-ups about which the linkage has said something: a request under one of them is under way no more.
CREATE TABLE signup_answered (
    signup_ref text PRIMARY KEY
);
INSERT INTO signup_answered (signup_ref) SELECT DISTINCT signup_ref FROM signup;

-- With a stale consent: the highest version that the linkage has seen, so that the next one is higher.
ALTER TABLE refusal ADD COLUMN standing_version integer;
