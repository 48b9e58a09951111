-- Somebody brought along a code that is good, and has not said yet that it is she. ``session`` is what her session will be.
CREATE TABLE arrival (
    token_hash bytea PRIMARY KEY,
    csrf       text        NOT NULL,
    session    bytea       NOT NULL,
    home       text        NOT NULL,
    home_ref   text        NOT NULL,
    code       text        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- She said that it is she: the code is good for this one session. The linkage's answer says which account it opens.
CREATE TABLE opened (
    code_hash  bytea PRIMARY KEY,
    message_id text        NOT NULL UNIQUE,
    session    bytea       NOT NULL,
    home       text        NOT NULL,
    asked_as   text        NOT NULL,
    ref        text,
    state      text        NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'established', 'refused')),
    reason     text,
    pressed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX opened_by_session ON opened (session);
