-- Both apps may ask for one sign-up, each under a number of its own: everyone who was told of it hears what becomes of it.
ALTER TABLE signup ADD COLUMN also_asked jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(also_asked) = 'array');
