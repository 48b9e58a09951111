-- The public face of this database for audits, as chassis/0014_audit_views.sql says it.
CREATE VIEW audit_account AS SELECT registry, ref, person, role FROM account;
CREATE VIEW audit_link AS
SELECT person, host, host_ref, home, home_ref, age_band, guardian_approved, link_version, state, since, rests FROM link;
CREATE VIEW audit_link_under_way AS SELECT registry, ref, host, requests FROM link_under_way;
CREATE VIEW audit_consent AS SELECT home, home_ref, host, version, state, valid_until FROM consent;
CREATE VIEW audit_service_record AS
SELECT host, record_ref, person, home, record, state, reason, minutes, settled_version, total, posted, transfer_id
  FROM service_record;
CREATE VIEW audit_transfer AS
SELECT id, host, record_ref, person, home, home_ref, version, record, total, delta, state, reason, attempts, unanswered,
       queried, changed_at
  FROM transfer;
CREATE VIEW audit_step AS SELECT number, person, at, happened_at, what, host, subject, detail FROM step;
CREATE VIEW audit_refusal AS SELECT registry, reason, message_type, at FROM refusal;

GRANT SELECT ON audit_account, audit_link, audit_link_under_way, audit_consent, audit_service_record, audit_transfer,
    audit_step, audit_refusal TO PUBLIC;
