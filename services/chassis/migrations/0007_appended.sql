-- Whether "timestamp" is the log's own time of arrival (LogAppendTime), or what the producer wrote.
ALTER TABLE set_aside ADD COLUMN appended boolean NOT NULL DEFAULT false;
ALTER TABLE discarded ADD COLUMN appended boolean NOT NULL DEFAULT false;
