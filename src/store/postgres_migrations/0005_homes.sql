-- Which process has the calls of a PBX: its lease, the number of that lease, and a number that grows whenever the home changes
-- hands.
CREATE TABLE homes (
    pbx     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    node    TEXT COLLATE "C" NOT NULL,
    run     BIGINT NOT NULL,
    fencing BIGINT NOT NULL
);
