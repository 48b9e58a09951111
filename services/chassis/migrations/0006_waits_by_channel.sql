-- A wait is over when all is applied that lay on the channels that can bring its fact, and on no others.
ALTER TABLE set_aside ADD COLUMN brought_by text;  -- these channels, of a message that waits
-- What waits already is decided once more: it waits on, its time counted from when it came, by its channels.
UPDATE set_aside SET reason = 'ready', fact = NULL, deadline = NULL WHERE reason = 'waiting';
ALTER TABLE set_aside ADD CHECK ((reason = 'waiting') = (brought_by IS NOT NULL));
DROP INDEX set_aside_by_deadline;
CREATE INDEX set_aside_by_channels ON set_aside (topic, brought_by, deadline) WHERE reason = 'waiting';
DROP INDEX set_aside_ready;
CREATE INDEX set_aside_ready ON set_aside (topic, seq) WHERE reason = 'ready';
