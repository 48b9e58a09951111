-- Receipts name the attempt that they answer: the attempts without an answer are kept, not how many they are. Which ones
-- an old row means is not known. It gets the last ones: a word that names no attempt is then believed less, never more.
CREATE FUNCTION pg_temp.last_attempts(number bigint, attempts bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg(one ORDER BY one), '[]') FROM generate_series(attempts - number + 1, attempts) AS one
$$;
ALTER TABLE transfer DROP CONSTRAINT transfer_check;
ALTER TABLE transfer ALTER COLUMN unanswered TYPE jsonb USING pg_temp.last_attempts(unanswered, attempts);
ALTER TABLE transfer ADD CONSTRAINT transfer_unanswered_check
    CHECK (jsonb_typeof(unanswered) = 'array' AND jsonb_array_length(unanswered) <= attempts);
DROP FUNCTION pg_temp.last_attempts;
