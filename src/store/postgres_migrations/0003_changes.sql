-- What changed in the directory: the key of each row, `tokens` for the tokens, or `reload` for anything. Written in the
-- transaction of the change. `node`, `run` and `seq` are the name, the fencing number and the commits of the lease that made it:
-- the rows of a node are in the order of its commits.
CREATE TABLE changes (
    node TEXT COLLATE "C" NOT NULL,
    run  BIGINT NOT NULL,
    seq  BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    key  TEXT COLLATE "C" NOT NULL,
    at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (node, run, seq, kind, key)
);
