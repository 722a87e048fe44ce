-- The view of orders.upserts. Every value comes from an event, so that a replay gives the same rows.

CREATE TABLE orders (
    partner_id      text COLLATE "C" NOT NULL,
    order_id        text COLLATE "C" NOT NULL,
    name            text NOT NULL,
    phone           text,
    address         text,
    email           text NOT NULL,
    refferral_code  text NOT NULL,
    user_id         text NOT NULL,
    products        jsonb NOT NULL,
    total_amount    bigint NOT NULL,
    discount        bigint NOT NULL,
    total_qty       bigint,
    content_hash    bytea NOT NULL,        -- of the canonical order: says 'unchanged' without reading the row
    event_partition smallint NOT NULL,     -- of the newest event that changed the row
    event_offset    bigint NOT NULL,
    event_time      timestamptz NOT NULL,  -- when the broker appended it
    PRIMARY KEY (partner_id, order_id)
);

-- The fence, and the watermark *applied*: every event below next_offset is in the tables, no other one is.
CREATE TABLE consumer_partition (
    partition   smallint PRIMARY KEY,
    next_offset bigint NOT NULL
);
INSERT INTO consumer_partition SELECT partition, 0 FROM generate_series(0, 11) AS partition;

-- Which topic these tables are a view of. Offsets mean nothing in a topic that was created anew.
CREATE TABLE source_topic (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    topic    text NOT NULL,
    topic_id text NOT NULL
);

-- The ledger of outcomes: one row for each (request, consumer batch), named after the request's first event in it.
-- Partitioned by the day on which the broker appended that event; old days are dropped whole.
CREATE TABLE request_part (
    request_id      uuid NOT NULL,
    partition       smallint NOT NULL,
    first_offset    bigint NOT NULL,
    day             date NOT NULL,
    partner_id      text COLLATE "C" NOT NULL,
    request_size    smallint,
    request_invalid smallint,
    outcomes        text NOT NULL,  -- JSON, the very text of the result record
    PRIMARY KEY (request_id, partition, first_offset, day)
) PARTITION BY LIST (day);
