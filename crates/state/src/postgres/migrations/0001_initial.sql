-- What the store says of itself: `id`, `version` of the schema, `key` (a sealed word, by which another key is noticed).
CREATE TABLE meta (
    name  text  NOT NULL PRIMARY KEY,
    value bytea NOT NULL
);

-- Every sync that ever took a lease; `generation` is the number of its last run.
CREATE TABLE syncs (
    name       text   NOT NULL PRIMARY KEY,
    generation bigint NOT NULL
);

-- Who runs a sync, until when. A holder that lives sets `expires_at` anew; one that died does not.
CREATE TABLE leases (
    sync       text        NOT NULL PRIMARY KEY,
    token      text        NOT NULL,
    holder     text        NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE checkpoints (
    sync       text   NOT NULL PRIMARY KEY REFERENCES syncs (name),
    generation bigint NOT NULL,
    revision   bigint NOT NULL,
    body       text   NOT NULL
);

CREATE TABLE intents (
    sync       text   NOT NULL PRIMARY KEY REFERENCES syncs (name),
    generation bigint NOT NULL,
    body       text   NOT NULL
);

-- Rows not delivered. `sealed` holds the encoded key and the key. Moments are texts with all their digits.
CREATE TABLE rejects (
    sync     text   NOT NULL REFERENCES syncs (name),
    position bigint NOT NULL,
    code     text   NOT NULL,
    reason   text   NOT NULL,
    attempts bigint NOT NULL,
    first_at text   NOT NULL,
    last_at  text   NOT NULL,
    sealed   bytea  NOT NULL,
    PRIMARY KEY (sync, position)
);

-- The mapped values of the first of them, sealed; forgotten some time after `last_at`.
CREATE TABLE reject_payloads (
    sync     text   NOT NULL REFERENCES syncs (name),
    position bigint NOT NULL,
    last_at  text   NOT NULL,
    sealed   bytea  NOT NULL,
    PRIMARY KEY (sync, position)
);

CREATE INDEX reject_payloads_by_age ON reject_payloads (last_at);

-- Lines not readable in the last run, each a JSON object.
CREATE TABLE source_rejects (
    sync     text   NOT NULL REFERENCES syncs (name),
    position bigint NOT NULL,
    body     text   NOT NULL,
    PRIMARY KEY (sync, position)
);

-- Reports of runs, as JSON; `position` is the order in which they began.
CREATE TABLE runs (
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run        text   NOT NULL UNIQUE,
    sync       text   NOT NULL,
    generation bigint NOT NULL,
    status     text   NOT NULL,
    body       text   NOT NULL
);

CREATE INDEX runs_of_sync ON runs (sync, position);
