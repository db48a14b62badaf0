-- Which owner's transactions may be committed: the number of a lease, which each of its owner's transactions checks and
-- locks. The lease has a row of its own, so that it is renewed while a transaction runs. `commits` counts them.
CREATE TABLE fences (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    fencing BIGINT NOT NULL,
    commits BIGINT NOT NULL
);
