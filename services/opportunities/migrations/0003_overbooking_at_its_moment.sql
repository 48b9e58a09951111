-- What the host allotted and how many had a post right after each post that was given: an overbooking that is healed
-- later stays visible. Unknown of those given before.

ALTER TABLE signup_outcome
    ADD COLUMN posts     bigint,
    ADD COLUMN confirmed bigint;

CREATE INDEX signup_outcome_overbooked ON signup_outcome (number) WHERE confirmed > posts;
