-- What an account of a registry is for the linkage, for ever: a volunteer's home, or the account of a guest. It never
-- becomes the other one, whatever two batches at once have seen.
CREATE TABLE role (
    registry text NOT NULL,
    ref      text NOT NULL,
    role     text NOT NULL CHECK (role IN ('home', 'host')),
    PRIMARY KEY (registry, ref)
);
INSERT INTO role (registry, ref, role) SELECT host, host_ref, 'host' FROM link;
INSERT INTO role (registry, ref, role)
SELECT home, home_ref, 'home' FROM account WHERE person IN (SELECT person FROM offer UNION SELECT person FROM link)
ON CONFLICT (registry, ref) DO NOTHING;
