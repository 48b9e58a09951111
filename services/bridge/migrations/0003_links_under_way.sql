-- What a host asked about a ref, its own or a home's, and identity has not answered yet: how many requests, not one id.
CREATE TABLE link_under_way (
    registry  text        NOT NULL,
    ref       text        NOT NULL,
    host      text        NOT NULL,
    requests  bigint      NOT NULL CHECK (requests >= 0),
    newest_at timestamptz NOT NULL,
    PRIMARY KEY (registry, ref, host)
);
-- A request that is under way now is known by its host's ref only: what waits behind it at the host goes on waiting.
INSERT INTO link_under_way (registry, ref, host, requests, newest_at)
SELECT registry, ref, registry, 1, now() FROM account WHERE request IS NOT NULL;

ALTER TABLE account DROP COLUMN request;
DELETE FROM account WHERE person IS NULL;
ALTER TABLE account ALTER COLUMN person SET NOT NULL;

-- Whether a link rested when something happened is asked about the past, too.
ALTER TABLE link ADD COLUMN rests jsonb NOT NULL DEFAULT '[]';
