-- A record that is revoked keeps the sign-up under which it was confirmed: its restoration needs none.
ALTER TABLE service_record
    DROP CONSTRAINT service_record_check,
    ADD CONSTRAINT service_record_counts_whole
        CHECK (num_nulls(counted_version, counted_from, counted_to, counted_minutes) IN (0, 4)),
    ADD CONSTRAINT service_record_counts_by_a_sign_up CHECK (counted_version IS NULL OR counted_signup IS NOT NULL);
