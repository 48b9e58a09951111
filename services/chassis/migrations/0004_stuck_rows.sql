-- A row whose partition takes nothing at present: which partition that is, or -1 while its whole topic is missing.
-- The relay passes over these rows, so that rows of other partitions behind them go out.
ALTER TABLE outbox ADD COLUMN stuck integer;
CREATE INDEX outbox_stuck ON outbox (topic, stuck, id) WHERE stuck IS NOT NULL;
