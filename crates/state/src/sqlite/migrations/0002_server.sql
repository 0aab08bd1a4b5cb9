-- What a server keeps: documents by kind and key. `revision` counts how often one was written; `sealed` holds secrets.
CREATE TABLE records (
    kind     TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    sealed   BLOB,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- What definitions were, as JSON.
CREATE TABLE versions (
    definition TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (definition, revision)
) STRICT, WITHOUT ROWID;

-- What happened in runs, as JSON; forgotten some time after `at`.
CREATE TABLE run_events (
    run    TEXT    NOT NULL,
    number INTEGER NOT NULL,
    at     TEXT    NOT NULL,
    body   TEXT    NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_events_by_age ON run_events (at);

-- Who did what, as JSON.
CREATE TABLE audit (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_age ON audit (at);

-- The day on which a run began, in UTC.
ALTER TABLE runs ADD COLUMN day TEXT;
UPDATE runs SET day = substr(body ->> 'started_at', 1, 10);
CREATE INDEX runs_by_day ON runs (day);
