-- The public face of this database for audits, as chassis/0014_audit_views.sql says it. A code is here as its hash alone.
CREATE VIEW audit_account AS SELECT home, home_ref, person FROM account;
CREATE VIEW audit_role AS SELECT registry, ref, role FROM role;
CREATE VIEW audit_offer AS
SELECT person, host, code_hash, age_band, guardian_approved, offered_at, expires_at FROM offer;
CREATE VIEW audit_request AS
SELECT request_id, home, home_ref, host, host_ref, code_hash, asked_at, origin FROM request;
CREATE VIEW audit_link AS
SELECT person, host, host_ref, version, code_hash, age_band, guardian_approved, home_break, host_break FROM link;
CREATE VIEW audit_consent AS SELECT person, host, state, version, consent FROM consent;

GRANT SELECT ON audit_account, audit_role, audit_offer, audit_request, audit_link, audit_consent TO PUBLIC;
