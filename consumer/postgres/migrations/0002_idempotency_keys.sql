-- Asking twice: which digest an Idempotency-Key belongs to, and whose outcomes a part of the ledger holds.

ALTER TABLE request_part ADD COLUMN digest text;  -- of the request's parsed value; NULL where it has no key

-- The first committed transaction has the key: consumers of two partitions meet at this primary key.
CREATE TABLE request_key (
    request_id uuid NOT NULL,
    partner_id text COLLATE "C" NOT NULL,
    digest     text NOT NULL,
    day        date NOT NULL,  -- of the first event; the key is forgotten with the ledger of that day
    PRIMARY KEY (request_id, partner_id)
);
CREATE INDEX ON request_key (day);
