-- Also the moment before which these records were decided: that of the message that tells of them. The broker's clock may
-- run ahead of the service's, so the time of a record alone can be too late.
ALTER TABLE said_passed ADD COLUMN before timestamptz;
