-- Who is one human being in several registries. Refs are opaque; codes are kept as hashes only.

CREATE TABLE account (
    home     text NOT NULL,
    home_ref text NOT NULL,
    person   uuid NOT NULL UNIQUE,
    PRIMARY KEY (home, home_ref)
);

CREATE TABLE offer (
    person            uuid NOT NULL REFERENCES account (person),
    host              text NOT NULL,
    code_hash         text NOT NULL CHECK (code_hash ~ '^[0-9a-f]{64}$'),
    age_band          text NOT NULL CHECK (age_band IN ('under_14', '14_to_15', '16_to_17', 'adult')),
    guardian_approved boolean NOT NULL,
    offered_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    wrong_codes       bigint NOT NULL CHECK (wrong_codes BETWEEN 0 AND 5),
    PRIMARY KEY (person, host)
);

CREATE TABLE request (
    request_id text PRIMARY KEY,
    person     uuid NOT NULL REFERENCES account (person),
    host       text NOT NULL,
    host_ref   text NOT NULL,
    code_hash  text NOT NULL CHECK (code_hash ~ '^[0-9a-f]{64}$'),
    asked_at   timestamptz NOT NULL,
    origin     jsonb NOT NULL,
    outcome    text NOT NULL CHECK (outcome IN (
        'pending', 'established',
        'wrong_code', 'expired', 'other_registry', 'no_offer', 'already_linked', 'code_used', 'too_many_attempts'
    ))
);

CREATE INDEX request_pending ON request (person) WHERE outcome = 'pending';

CREATE TABLE link (
    person            uuid NOT NULL REFERENCES account (person),
    host              text NOT NULL,
    host_ref          text NOT NULL,
    version           bigint NOT NULL CHECK (version >= 1),
    code_hash         text NOT NULL CHECK (code_hash ~ '^[0-9a-f]{64}$'),
    age_band          text NOT NULL CHECK (age_band IN ('under_14', '14_to_15', '16_to_17', 'adult')),
    guardian_approved boolean NOT NULL,
    home_break        text,
    host_break        text,
    PRIMARY KEY (person, host),
    UNIQUE (host, host_ref) -- a host account is one person's, for ever
);

CREATE TABLE consent (
    person  uuid NOT NULL REFERENCES account (person),
    host    text NOT NULL,
    state   text NOT NULL CHECK (state IN ('given', 'withdrawn')),
    version bigint NOT NULL CHECK (version >= 1),
    consent jsonb,
    PRIMARY KEY (person, host),
    CHECK ((state = 'given') = (consent IS NOT NULL))
);
