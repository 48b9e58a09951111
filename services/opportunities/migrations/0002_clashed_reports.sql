-- A window that home reported and that lost to another one is kept, and decided again when that one ends.

ALTER TABLE signup
    DROP CONSTRAINT signup_state_check,
    ADD CONSTRAINT signup_state_check
        CHECK (state IN ('confirmed', 'waitlisted', 'reported', 'clashed', 'withdrawn')),
    ADD COLUMN clashed_at  timestamptz,
    ADD COLUMN wanted_from timestamptz,
    ADD COLUMN wanted_to   timestamptz,
    ADD CONSTRAINT signup_wish_whole CHECK (num_nulls(clashed_at, wanted_from, wanted_to) IN (0, 3)),
    ADD CONSTRAINT signup_wish_of_a_report
        CHECK (CASE state WHEN 'clashed' THEN clashed_at IS NOT NULL WHEN 'reported' THEN true ELSE clashed_at IS NULL END);

-- Nearly nobody has any: a withdrawal looks here for what it lets in.
CREATE INDEX signup_clashed ON signup (person) WHERE clashed_at IS NOT NULL;
