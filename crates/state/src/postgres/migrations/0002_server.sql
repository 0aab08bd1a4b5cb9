-- What a server keeps: documents by kind and key. `revision` counts how often one was written; `sealed` holds secrets.
CREATE TABLE records (
    kind     text   NOT NULL,
    key      text   NOT NULL,
    revision bigint NOT NULL,
    body     text   NOT NULL,
    sealed   bytea,
    PRIMARY KEY (kind, key)
);

-- What definitions were, as JSON.
CREATE TABLE versions (
    definition text   NOT NULL,
    revision   bigint NOT NULL,
    body       text   NOT NULL,
    PRIMARY KEY (definition, revision)
);

-- What happened in runs, as JSON; forgotten some time after `at`.
CREATE TABLE run_events (
    run    text   NOT NULL,
    number bigint NOT NULL,
    at     text   NOT NULL,
    body   text   NOT NULL,
    PRIMARY KEY (run, number)
);

CREATE INDEX run_events_by_age ON run_events (at);

-- Who did what, as JSON.
CREATE TABLE audit (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       text NOT NULL,
    body     text NOT NULL
);

CREATE INDEX audit_by_age ON audit (at);

-- The day on which a run began, in UTC.
ALTER TABLE runs ADD COLUMN day text;
UPDATE runs SET day = substr(CAST(body AS json) ->> 'started_at', 1, 10);
CREATE INDEX runs_by_day ON runs (day);
