-- Which process may write. `fencing` grows with each owner, and `commits` with each of its transactions. Times are by the
-- server's clock.
CREATE TABLE leases (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner   TEXT NOT NULL,
    fencing BIGINT NOT NULL,
    commits BIGINT NOT NULL,
    expires TIMESTAMPTZ NOT NULL
);
