-- A word that is rare, or nowhere, is found by its pairs of characters: in Chinese nothing says where a word begins, and
-- trigrams miss words of two. Single characters are in it too, for whoever looks for one.
CREATE FUNCTION characters_and_pairs(words text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
    SELECT coalesce(array_agg(DISTINCT part), '{}')
      FROM (SELECT one, lead(one) OVER (ORDER BY place) AS following
              FROM unnest(string_to_array(words, NULL)) WITH ORDINALITY AS each(one, place)) AS each,
           LATERAL (VALUES (one), (one || following)) AS parts(part)
     WHERE part IS NOT NULL
$$;
-- COST: so dear that no plan reckons it out for each row instead of asking the index.

-- On an expression, not a column: a sign-up writes its shift anew, and pays nothing for words that stayed the same.
-- The list of what is not yet sorted in stays short, since each search reads all of it.
CREATE INDEX shift_by_pairs ON shift USING gin (characters_and_pairs(words)) WITH (gin_pending_list_limit = 512);
CREATE INDEX project_by_pairs ON project USING gin (characters_and_pairs(words)) WITH (gin_pending_list_limit = 512);
