-- The public face of this database for audits, as chassis/0014_audit_views.sql says it.
CREATE VIEW audit_project AS
SELECT host, project_ref, version, title, category, campaign_ref, campaign_title, organiser_ref, state FROM project;
CREATE VIEW audit_shift AS
SELECT host, project_ref, shift_ref, version, starts_at, ends_at, signup_opens_at, signup_closes_at, posts,
       waitlist_posts, minimum_age, division_code, place_text, state, confirmed, waitlisted, capacity, last_position
  FROM shift;
CREATE VIEW audit_signup AS
SELECT signup_id, person, host, project_ref, shift_ref, starts_at, ends_at, state, position, asker, signup_ref, origin,
       also_asked, clashed_at, wanted_from, wanted_to
  FROM signup;
CREATE VIEW audit_signup_outcome AS
SELECT number, signup_id, outcome, reason, decided_at, posts, confirmed FROM signup_outcome;

GRANT SELECT ON audit_project, audit_shift, audit_signup, audit_signup_outcome TO PUBLIC;
