-- Who can sign in to the registry's pages. A visitor's account is made with her link; her name never crosses.
CREATE TABLE account (
    ref               text PRIMARY KEY,
    kind              text NOT NULL CHECK (kind IN ('volunteer', 'visitor', 'organiser')),
    name              text,
    age_band          text CHECK (age_band IN ('under_14', '14_to_15', '16_to_17', 'adult')),
    guardian_approved boolean NOT NULL DEFAULT false,
    home              text,   -- a visitor's home registry
    CHECK ((kind = 'visitor') = (home IS NOT NULL)),
    CHECK ((kind = 'volunteer') = (age_band IS NOT NULL))
);

-- A browser's session: the cookie's token stands here as a digest only.
CREATE TABLE web_session (
    token_hash bytea PRIMARY KEY,
    csrf       text        NOT NULL,
    ref        text REFERENCES account,
    expires_at timestamptz NOT NULL
);

-- An offer that she made and has yet to bring over there. The form's own number makes two clicks one offer.
CREATE TABLE offer (
    form            text PRIMARY KEY,
    ref             text        NOT NULL,
    registry        text        NOT NULL,
    code            text        NOT NULL,
    consent_version integer     NOT NULL,
    expires_at      timestamptz NOT NULL
);

-- What the rotating check-in code of a shift is made from.
CREATE TABLE check_in_secret (
    project_ref text  NOT NULL,
    shift_ref   text  NOT NULL,
    secret      bytea NOT NULL,
    PRIMARY KEY (project_ref, shift_ref)
);
