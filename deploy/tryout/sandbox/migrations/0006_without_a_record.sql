-- Minutes that are taken back while nothing may be shared come without their record.
ALTER TABLE posting ALTER COLUMN record_ref DROP NOT NULL, ALTER COLUMN version DROP NOT NULL;
