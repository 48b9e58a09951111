-- The public face of this database for audits, as chassis/0014_audit_views.sql says it. Of a notice only that it waits or
-- was rejected: its content is on the log.
CREATE VIEW audit_credit AS
SELECT transfer_id, volunteer_ref, body, state, attempts, posted_delta, posted_at, reason, retry FROM credit;
CREATE VIEW audit_notice AS SELECT source, message_id, type, rejected IS NOT NULL AS rejected FROM notice;

GRANT SELECT ON audit_credit, audit_notice TO PUBLIC;
