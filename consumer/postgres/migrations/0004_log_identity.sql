-- By what the log of a partition is known again, beside its fence. NULL until the next batch is applied.
ALTER TABLE consumer_partition ADD COLUMN last_epoch int;  -- leader epoch of the record before next_offset
ALTER TABLE consumer_partition ADD COLUMN last_hash bytea;  -- 16 bytes over key, value and headers of that record
ALTER TABLE consumer_partition ADD COLUMN log_start bigint NOT NULL DEFAULT 0;  -- from here on the topic explains the tables

-- A reseed that is under way (`orders reseed`), one row for each partition. Consumers do not start before it is done.
CREATE TABLE reseed (
    partition     smallint PRIMARY KEY,
    log_start     bigint NOT NULL,  -- the first record that is there
    before_offset bigint NOT NULL,  -- the records before it were applied, those from here on are new
    end_offset    bigint NOT NULL,  -- where the log ended when the reseed began
    topic         text NOT NULL,
    topic_id      text NOT NULL,
    run_id        uuid NOT NULL     -- the ids of the events are made from it, so that a second attempt gives the same
);

-- The orders that the topic does not explain, and whether their event is acknowledged.
CREATE TABLE reseed_order (
    partition  smallint NOT NULL,
    partner_id text COLLATE "C" NOT NULL,
    order_id   text COLLATE "C" NOT NULL,
    is_written boolean NOT NULL DEFAULT false,
    PRIMARY KEY (partner_id, order_id)
);
