-- The linkage's attempts that no receipt has named yet, and what went wrong last.
ALTER TABLE credit ADD COLUMN asked jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(asked) = 'array');
ALTER TABLE credit ADD COLUMN trouble text;
CREATE INDEX credit_in_trouble ON credit (seq) WHERE trouble IS NOT NULL;

-- One that the registry fails over is told again after a while, and only its own key waits for it.
ALTER TABLE notice ADD COLUMN key text;
UPDATE notice SET key = coalesce(body->>'volunteer_ref', body->>'project_ref', body->>'refused_key', id::text);
ALTER TABLE notice ALTER COLUMN key SET NOT NULL;
ALTER TABLE notice ADD COLUMN tries bigint NOT NULL DEFAULT 0 CHECK (tries >= 0);
ALTER TABLE notice ADD COLUMN due_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE notice ADD COLUMN trouble text;
CREATE INDEX notice_postponed ON notice (key) WHERE rejected IS NULL AND tries > 0;
DROP INDEX notice_to_pass_on;
CREATE INDEX notice_to_pass_on ON notice ((tries > 0), seq) WHERE rejected IS NULL;
CREATE INDEX notice_rejected ON notice (seq) WHERE rejected IS NOT NULL;
