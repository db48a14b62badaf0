-- What SQLite has after its migrations up to 0005. Texts are compared byte by byte, as SQLite compares them: ids grow with
-- time, and lists are in the order of numbers.

-- The node's own secret and other things that are made once.
CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Bearer tokens of administrators, agents and peers: SHA-256 of the token.
CREATE TABLE tokens (
    hash BYTEA NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL
);

-- The directory. `credential` is the SHA-256 of the token of the number's clients. `enabled`: whether the number's clients
-- take part; 0 if they were switched off, and never said is yes.
CREATE TABLE numbers (
    number     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT,
    pbx        TEXT,
    kind       TEXT NOT NULL,
    extensions TEXT NOT NULL,
    credential BYTEA,
    enabled    BIGINT
);
CREATE UNIQUE INDEX numbers_credential ON numbers (credential) WHERE credential IS NOT NULL;

-- Multimedia clients of the numbers. Times are milliseconds since 1970. `offer`: to whom the client's address may go, as JSON.
-- `device`: the device that bound the client; NULL if it was bound with the number's credential or by an administrator.
CREATE TABLE bindings (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number       TEXT COLLATE "C" NOT NULL,
    form         TEXT   NOT NULL,
    address      TEXT,
    secret       TEXT,
    capabilities TEXT   NOT NULL,
    lifetime     BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    offer        TEXT   NOT NULL DEFAULT '"everyone"',
    device       TEXT COLLATE "C"
);
CREATE INDEX bindings_number ON bindings (number, expires);
CREATE INDEX bindings_expires ON bindings (expires);
CREATE INDEX bindings_device ON bindings (device) WHERE device IS NOT NULL;

-- Calls; `body` is the whole state, from which a live call is taken up again after a restart.
CREATE TABLE calls (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
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
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    call      TEXT COLLATE "C" NOT NULL,
    number    TEXT COLLATE "C" NOT NULL,
    other     TEXT COLLATE "C" NOT NULL,
    client    TEXT COLLATE "C" NOT NULL,
    form      TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    body      TEXT   NOT NULL,
    is_open   BIGINT NOT NULL,
    state     TEXT   NOT NULL,
    attempts  BIGINT NOT NULL,
    created   BIGINT NOT NULL,
    delivered BIGINT,
    error     TEXT
);
CREATE INDEX deliveries_call ON deliveries (call);
CREATE INDEX deliveries_client ON deliveries (client, id);
CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';
-- A client is told of a pair once, however often the pair is looked at.
CREATE UNIQUE INDEX deliveries_open ON deliveries (call, client, other) WHERE is_open = 1;
-- How a number's clients were told of another number. A call has few of these rows, and may have many messages.
CREATE INDEX deliveries_told ON deliveries (call, number, other, id) WHERE kind = 'peer';

-- Offers of other nodes that no call has used yet; `body` is the offer.
CREATE TABLE offers (
    peer     TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    received BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (peer, id)
);

-- Installations of clients. `token` is the SHA-256 of the device's token.
CREATE TABLE devices (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number   TEXT COLLATE "C" NOT NULL,
    name     TEXT   NOT NULL,
    token    BYTEA  NOT NULL,
    enrolled BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_token ON devices (token);
CREATE INDEX devices_number ON devices (number, id);

-- Codes that are not used yet: SHA-256 of the code. `device` is the device that asked for the code; `credential` is the
-- number's credential of that time, if somebody asked with the credential.
CREATE TABLE enrolments (
    code       BYTEA NOT NULL PRIMARY KEY,
    number     TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C",
    credential BYTEA,
    expires    BIGINT NOT NULL
);
CREATE INDEX enrolments_number ON enrolments (number);
