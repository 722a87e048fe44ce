-- The tables as all migrations together make them. Written by `make schema`; a test holds it equal.


CREATE FUNCTION drop_ledger_day(day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', 'request_part_' || to_char(day, 'YYYYMMDD'));
END
$$;

CREATE FUNCTION make_ledger_day(day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF request_part FOR VALUES IN (%L)',
        'request_part_' || to_char(day, 'YYYYMMDD'), day);
END
$$;

CREATE FUNCTION order_hashes(partner text, order_ids text[]) RETURNS TABLE(order_id text, content_hash bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET enable_seqscan TO 'off'
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY SELECT o.order_id, o.content_hash FROM unnest(order_ids) AS k (id), LATERAL
        (SELECT orders.order_id, orders.content_hash FROM orders
         WHERE orders.partner_id = partner AND orders.order_id = k.id OFFSET 0) AS o;
END
$$;

-- The fence, and the watermark *applied*: every event below next_offset is in the tables, no other one is.
CREATE TABLE consumer_partition (
    partition smallint NOT NULL,
    next_offset bigint NOT NULL,
    last_epoch integer,  -- leader epoch of the record before next_offset
    last_hash bytea,  -- 16 bytes over key, value and headers of that record
    log_start bigint DEFAULT 0 NOT NULL,  -- from here on the topic explains the tables
    answered_to bigint DEFAULT 0 NOT NULL
);

-- Orders with a dead letter that is newer than their row, or than no row: where the newest such event stands. While it is
-- here, an event with the row's own value moves the row's event_offset too, so that a redriven letter that is older than
-- it is known to be older. A table of its own, and not a column of orders, so that no constraint of a shop's refuses it.
CREATE TABLE order_letter (
    partner_id text NOT NULL COLLATE "C",
    order_id text NOT NULL COLLATE "C",
    event_offset bigint NOT NULL
);

CREATE TABLE orders (
    partner_id text NOT NULL COLLATE "C",
    order_id text NOT NULL COLLATE "C",
    name text NOT NULL,
    phone text,
    address text,
    email text NOT NULL,
    refferral_code text NOT NULL,
    user_id text NOT NULL,
    products jsonb NOT NULL,
    total_amount bigint NOT NULL,
    discount bigint NOT NULL,
    total_qty bigint,
    content_hash bytea NOT NULL,  -- of the canonical order: says 'unchanged' without reading the row
    event_partition smallint NOT NULL,  -- of the newest event that changed the row
    event_offset bigint NOT NULL,
    event_time timestamp with time zone NOT NULL  -- when the broker appended it
);

-- The first committed transaction has the key: consumers of two partitions meet at this primary key.
CREATE TABLE request_key (
    request_id uuid NOT NULL,
    partner_id text NOT NULL COLLATE "C",
    digest text NOT NULL,
    day date NOT NULL  -- of the first event; the key is forgotten with the ledger of that day
);

-- The ledger of outcomes: one row for each (request, consumer batch), named after the request's first event in it.
-- Partitioned by the day on which the broker appended that event; old days are dropped whole.
CREATE TABLE request_part (
    request_id uuid NOT NULL,
    partition smallint NOT NULL,
    first_offset bigint NOT NULL,
    day date NOT NULL,
    partner_id text NOT NULL COLLATE "C",
    request_size smallint,
    request_invalid smallint,
    outcomes text NOT NULL,  -- JSON, the very text of the result record
    digest text,  -- of the request's parsed value; NULL where it has no key
    event_time timestamp with time zone  -- of the first event; NULL if an older version wrote it
)
PARTITION BY LIST (day);

-- A reseed that is under way (`orders reseed`), one row for each partition. Consumers do not start before it is done.
CREATE TABLE reseed (
    partition smallint NOT NULL,
    log_start bigint NOT NULL,  -- the first record that is there
    before_offset bigint NOT NULL,  -- the records before it were applied, those from here on are new
    end_offset bigint NOT NULL,  -- where the log ended when the reseed began
    topic text NOT NULL,
    topic_id text NOT NULL,
    run_id uuid NOT NULL  -- the ids of the events are made from it, so that a second attempt gives the same
);

-- The orders that the topic does not explain, and whether their event is acknowledged.
CREATE TABLE reseed_order (
    partition smallint NOT NULL,
    partner_id text NOT NULL COLLATE "C",
    order_id text NOT NULL COLLATE "C",
    is_written boolean DEFAULT false NOT NULL
);

CREATE TABLE schema_migration (
    version text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

-- Which topic these tables are a view of. Offsets mean nothing in a topic that was created anew.
CREATE TABLE source_topic (
    only_row boolean DEFAULT true NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    CONSTRAINT source_topic_only_row_check CHECK (only_row)
);

ALTER TABLE ONLY consumer_partition
    ADD CONSTRAINT consumer_partition_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY order_letter
    ADD CONSTRAINT order_letter_pkey PRIMARY KEY (partner_id, order_id);

ALTER TABLE ONLY orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (partner_id, order_id);

ALTER TABLE ONLY request_key
    ADD CONSTRAINT request_key_pkey PRIMARY KEY (request_id, partner_id);

ALTER TABLE ONLY request_part
    ADD CONSTRAINT request_part_pkey PRIMARY KEY (request_id, partition, first_offset, day);

ALTER TABLE ONLY reseed_order
    ADD CONSTRAINT reseed_order_pkey PRIMARY KEY (partner_id, order_id);

ALTER TABLE ONLY reseed
    ADD CONSTRAINT reseed_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY source_topic
    ADD CONSTRAINT source_topic_pkey PRIMARY KEY (only_row);

CREATE INDEX request_key_day_idx ON request_key USING btree (day);

CREATE INDEX request_part_partner_idx ON ONLY request_part USING btree (partner_id, event_time) WHERE (event_time IS NOT NULL);

