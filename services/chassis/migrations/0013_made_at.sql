-- How old a row is: an old one that nobody needs is forgotten, and whoever locks the name next makes it again.
ALTER TABLE entity ADD COLUMN made_at timestamptz NOT NULL DEFAULT now();
