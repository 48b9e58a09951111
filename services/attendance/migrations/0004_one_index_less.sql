-- A person's record of a shift on a day is one: the rule said so by the sign-up, which stands for person and shift. With
-- the person in front the same index finds what counts on her days, and the second one is needed no more.
ALTER TABLE service_record
    DROP CONSTRAINT one_record_a_shift_and_day,
    ADD CONSTRAINT one_record_a_shift_and_day UNIQUE (person, counted_day, counted_signup) DEFERRABLE INITIALLY DEFERRED;
DROP INDEX service_record_by_day;
