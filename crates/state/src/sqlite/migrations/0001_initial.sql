-- What the store says of itself: `id`.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Every sync that ever took a lease; `generation` is the number of its last run.
CREATE TABLE syncs (
    name       TEXT    NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE checkpoints (
    sync       TEXT    NOT NULL PRIMARY KEY REFERENCES syncs (name),
    generation INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;

CREATE TABLE intents (
    sync       TEXT    NOT NULL PRIMARY KEY REFERENCES syncs (name),
    generation INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;

-- Rows not delivered, where they are few. `sealed` holds the encoded key and the key.
CREATE TABLE rejects (
    sync     TEXT    NOT NULL REFERENCES syncs (name),
    position INTEGER NOT NULL,
    code     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    first_at TEXT    NOT NULL,
    last_at  TEXT    NOT NULL,
    sealed   BLOB    NOT NULL,
    PRIMARY KEY (sync, position)
) STRICT, WITHOUT ROWID;

-- Where they are many: the file that holds them, in the folder `rejects/SYNC` beside the database.
CREATE TABLE reject_files (
    sync TEXT    NOT NULL PRIMARY KEY REFERENCES syncs (name),
    name TEXT    NOT NULL,
    rows INTEGER NOT NULL
) STRICT;

-- The mapped values of the first of them, sealed; forgotten some time after `last_at`.
CREATE TABLE reject_payloads (
    sync     TEXT    NOT NULL REFERENCES syncs (name),
    position INTEGER NOT NULL,
    last_at  TEXT    NOT NULL,
    sealed   BLOB    NOT NULL,
    PRIMARY KEY (sync, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX reject_payloads_by_age ON reject_payloads (last_at);

-- Lines not readable in the last run, each a JSON object.
CREATE TABLE source_rejects (
    sync     TEXT    NOT NULL REFERENCES syncs (name),
    position INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (sync, position)
) STRICT, WITHOUT ROWID;

-- Reports of runs, as JSON; `position` is the order in which they began.
CREATE TABLE runs (
    position   INTEGER PRIMARY KEY,
    run        TEXT    NOT NULL UNIQUE,
    sync       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    body       TEXT    NOT NULL
) STRICT;

CREATE INDEX runs_of_sync ON runs (sync, position);
