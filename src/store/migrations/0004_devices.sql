-- Installations of clients. `token` is the SHA-256 of the device's token.
CREATE TABLE devices (
    id       TEXT   NOT NULL PRIMARY KEY,
    number   TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    token    BLOB   NOT NULL,
    enrolled BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_token ON devices (token);
CREATE INDEX devices_number ON devices (number, id);

-- Codes that are not used yet: SHA-256 of the code. `device` is the device that asked for the code; `credential` is the
-- number's credential of that time, if somebody asked with the credential.
CREATE TABLE enrolments (
    code       BLOB   NOT NULL PRIMARY KEY,
    number     TEXT   NOT NULL,
    device     TEXT,
    credential BLOB,
    expires    BIGINT NOT NULL
);
CREATE INDEX enrolments_number ON enrolments (number);

-- The device that bound the client; NULL if it was bound with the number's credential or by an administrator.
ALTER TABLE bindings ADD COLUMN device TEXT;
CREATE INDEX bindings_device ON bindings (device) WHERE device IS NOT NULL;
