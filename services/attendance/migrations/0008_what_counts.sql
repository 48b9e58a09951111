-- A record is compared with its shift's window, with her presence and with the evidence. What was kept before this
-- migration has no window, no method and no home: such a record is judged by sign-up, day of check-in and cap alone.
ALTER TABLE signup ADD COLUMN starts_at timestamptz, ADD COLUMN ends_at timestamptz;
ALTER TABLE presence
    ADD COLUMN came_by text CHECK (came_by IN ('scan', 'self_location', 'organiser')),
    ADD COLUMN left_by text CHECK (left_by IN ('scan', 'self_location', 'organiser'));
ALTER TABLE service_record
    ADD COLUMN home text,
    ADD COLUMN said_at timestamptz,
    -- Of the version that a person decided about, who decided, and how.
    ADD COLUMN reviewed_version integer,
    ADD COLUMN reviewed_by text CHECK (reviewed_by IN ('host', 'parent', 'province')),
    ADD COLUMN approved boolean,
    ADD CHECK (num_nulls(reviewed_version, reviewed_by, approved) IN (0, 3)),
    DROP CONSTRAINT service_record_held_for_check,
    ADD CONSTRAINT service_record_held_for_check CHECK (held_for IN (
        'no_signup', 'no_evidence', 'outside_shift', 'no_check_in', 'no_check_out', 'beyond_presence', 'too_short',
        'too_late', 'needs_review', 'review_rejected', 'duplicate', 'overlap', 'travel', 'over_cap'));

CREATE OR REPLACE VIEW audit_signup AS SELECT id, state, served_until, starts_at, ends_at FROM signup;
CREATE OR REPLACE VIEW audit_presence AS
SELECT signup_id, day, pair, came_at, left_at, came_by, left_by FROM presence;
CREATE OR REPLACE VIEW audit_service_record AS
SELECT host, record_ref, person, signup_id, version, held_for, body, day, attested_at, counted_version, counted_signup,
       counted_from, counted_to, counted_minutes, counted_day, home, said_at, reviewed_version, reviewed_by, approved
  FROM service_record;
