-- Two that cannot be read may have one number, or one that is no number: what tells them apart is what they say.
ALTER TABLE not_understood DROP CONSTRAINT not_understood_pkey;
ALTER TABLE not_understood ALTER COLUMN number DROP NOT NULL;
ALTER TABLE not_understood ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE not_understood ADD COLUMN digest bytea UNIQUE;
UPDATE not_understood SET digest = sha256(convert_to(number::text, 'UTF8'));
ALTER TABLE not_understood ALTER COLUMN digest SET NOT NULL;
