-- The node's own secret and other things that are made once.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

-- Bearer tokens of administrators, agents and peers: SHA-256 of the token.
CREATE TABLE tokens (
    hash BLOB NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL
);

-- The directory. `credential` is the SHA-256 of the token of the number's clients.
CREATE TABLE numbers (
    number     TEXT NOT NULL PRIMARY KEY,
    name       TEXT,
    pbx        TEXT,
    kind       TEXT NOT NULL,
    extensions TEXT NOT NULL,
    credential BLOB
) WITHOUT ROWID;
CREATE UNIQUE INDEX numbers_credential ON numbers (credential) WHERE credential IS NOT NULL;

-- Multimedia clients of the numbers. Times are milliseconds since 1970.
CREATE TABLE bindings (
    id           TEXT   NOT NULL PRIMARY KEY,
    number       TEXT   NOT NULL,
    form         TEXT   NOT NULL,
    address      TEXT,
    secret       TEXT,
    capabilities TEXT   NOT NULL,
    lifetime     BIGINT NOT NULL,
    expires      BIGINT NOT NULL
);
CREATE INDEX bindings_number ON bindings (number, expires);
CREATE INDEX bindings_expires ON bindings (expires);

-- Calls; `body` is the whole state, from which a live call is taken up again after a restart.
CREATE TABLE calls (
    id      TEXT   NOT NULL PRIMARY KEY,
    pbx     TEXT   NOT NULL,
    calling TEXT,
    called  TEXT   NOT NULL,
    route   TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    decided BIGINT NOT NULL,
    ended   BIGINT,
    body    TEXT   NOT NULL
);
CREATE INDEX calls_live ON calls (id) WHERE ended IS NULL;
CREATE INDEX calls_ended ON calls (ended) WHERE ended IS NOT NULL;

-- One message on its way to one client. `is_open`: a peer message whose pair still talks.
CREATE TABLE deliveries (
    id        TEXT    NOT NULL PRIMARY KEY,
    call      TEXT    NOT NULL,
    number    TEXT    NOT NULL,
    other     TEXT    NOT NULL,
    client    TEXT    NOT NULL,
    form      TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    body      TEXT    NOT NULL,
    is_open   INTEGER NOT NULL,
    state     TEXT    NOT NULL,
    attempts  INTEGER NOT NULL,
    created   BIGINT  NOT NULL,
    delivered BIGINT,
    error     TEXT
);
CREATE INDEX deliveries_call ON deliveries (call);
CREATE INDEX deliveries_client ON deliveries (client, id);
CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';
-- A client is told of a pair once, however often the pair is looked at.
CREATE UNIQUE INDEX deliveries_open ON deliveries (call, client, other) WHERE is_open = 1;
