-- A request is kept while it stands, and names a home's number that may be nobody's: no person is made for it.
DELETE FROM request WHERE outcome <> 'pending';
ALTER TABLE request ADD COLUMN home text, ADD COLUMN home_ref text;
UPDATE request SET home = account.home, home_ref = account.home_ref FROM account WHERE account.person = request.person;
ALTER TABLE request ALTER COLUMN home SET NOT NULL, ALTER COLUMN home_ref SET NOT NULL;
DROP INDEX request_pending;
ALTER TABLE request DROP COLUMN person, DROP COLUMN outcome;
CREATE INDEX request_of_account ON request (home, home_ref);

-- Persons who were made for what a stranger asked: nobody's home has ever spoken of them.
DELETE FROM account AS a WHERE NOT EXISTS (SELECT 1 FROM offer WHERE offer.person = a.person)
   AND NOT EXISTS (SELECT 1 FROM link WHERE link.person = a.person)
   AND NOT EXISTS (SELECT 1 FROM consent WHERE consent.person = a.person);

-- Wrong codes void no offer.
ALTER TABLE offer DROP COLUMN wrong_codes;
