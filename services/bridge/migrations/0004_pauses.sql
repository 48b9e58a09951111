-- A registry that an operator has paused, while it is. What it says waits in its topics, credits for it wait here. Once
-- it is resumed the row stands until all is applied that it said meanwhile.
CREATE TABLE pause (
    registry   text        PRIMARY KEY,
    operator   text        NOT NULL,
    why        text        NOT NULL,
    since      timestamptz NOT NULL,
    resumed_at timestamptz
);
-- Who paused and resumed what, and why. Rows are added, never changed.
CREATE TABLE pausing (
    number   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    registry text        NOT NULL,
    paused   boolean     NOT NULL,
    operator text        NOT NULL,
    why      text        NOT NULL,
    at       timestamptz NOT NULL
);

-- What operators watch: the last hour, without a search through all years. Steps are added in order of time, so blocks
-- with their first and last moment will do, and cost a writer nothing.
CREATE INDEX step_at ON step USING brin (at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX refusal_at ON refusal USING brin (at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX service_record_held ON service_record (host, home) WHERE state = 'held';
