-- Offers of other nodes that no call has used yet; `body` is the offer.
CREATE TABLE offers (
    peer     TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    received BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (peer, id)
);
