-- The public face of this database for audits: views whose names begin with audit_. Their columns stay, whatever becomes
-- of the tables below them: a migration that changes a table gives the view the same columns again. Whoever may connect
-- to this database may read them.
CREATE VIEW audit_consumed AS SELECT grp, topic, partition, next_offset FROM consumed;
CREATE VIEW audit_inbox AS SELECT source, id FROM inbox;
CREATE VIEW audit_outbox AS SELECT id, topic, key FROM outbox;
CREATE VIEW audit_set_aside AS
SELECT seq, reason, subject, topic, partition, "offset", key, value, size, digest, detail FROM set_aside;
CREATE VIEW audit_discarded AS
SELECT seq, reason, subject, topic, partition, "offset", key, value, size, digest, detail FROM discarded;

GRANT SELECT ON audit_consumed, audit_inbox, audit_outbox, audit_set_aside, audit_discarded TO PUBLIC;
