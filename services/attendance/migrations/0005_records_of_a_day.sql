-- Records compete within a day, so a batch loads the days that it touches. The Shanghai day of the latest version:
ALTER TABLE service_record ADD COLUMN day date;
UPDATE service_record SET day = ((body::json->>'started_at')::timestamptz AT TIME ZONE 'Asia/Shanghai')::date;
ALTER TABLE service_record ALTER COLUMN day SET NOT NULL;
CREATE INDEX service_record_of_day ON service_record (person, day);

-- What is held is asked for by the sign-up that came, no longer by person.
DROP INDEX service_record_held;
CREATE INDEX service_record_held ON service_record (signup_id) WHERE held_for IS NOT NULL;
