-- The nodes that share the database. Each refreshes its own row while it serves or stands by, and nothing depends on it. Times
-- are by the server's clock.
CREATE TABLE nodes (
    id        TEXT COLLATE "C" PRIMARY KEY,
    machine   TEXT COLLATE "C" NOT NULL,
    process   BIGINT NOT NULL,
    url       TEXT COLLATE "C" NOT NULL,
    version   TEXT NOT NULL,
    role      TEXT NOT NULL,
    started   TIMESTAMPTZ NOT NULL,
    heartbeat TIMESTAMPTZ NOT NULL
);
