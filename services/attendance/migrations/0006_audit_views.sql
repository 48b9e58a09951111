-- The public face of this database for audits, as chassis/0014_audit_views.sql says it.
CREATE VIEW audit_signup AS SELECT id, state FROM signup;
CREATE VIEW audit_presence AS SELECT signup_id, day, pair, came_at, left_at FROM presence;
CREATE VIEW audit_service_record AS
SELECT host, record_ref, person, signup_id, version, held_for, body, day, attested_at, counted_version, counted_signup,
       counted_from, counted_to, counted_minutes, counted_day
  FROM service_record;
CREATE VIEW audit_person_day AS SELECT person, day, minutes, cap FROM person_day;

GRANT SELECT ON audit_signup, audit_presence, audit_service_record, audit_person_day TO PUBLIC;
