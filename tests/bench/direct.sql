-- The table of the direct service: an order and nothing else.
CREATE TABLE direct_orders (
    partner_id     text COLLATE "C" NOT NULL,
    order_id       text COLLATE "C" NOT NULL,
    name           text NOT NULL,
    phone          text,
    address        text,
    email          text NOT NULL,
    refferral_code text NOT NULL,
    user_id        text NOT NULL,
    products       jsonb NOT NULL,
    total_amount   bigint NOT NULL,
    discount       bigint NOT NULL,
    total_qty      bigint,
    PRIMARY KEY (partner_id, order_id)
);

-- The outbox beside it. An id is given while the order's row is locked: so the ids of one order are in the order of
-- their commits, and the relay may send by id.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner_id text NOT NULL,
    order_id   text NOT NULL,
    value      bytea NOT NULL
) WITH (autovacuum_enabled = false); -- the relay does it, and more often

-- What Debezium's sink writes to.
CREATE TABLE debezium_orders (LIKE direct_orders INCLUDING ALL);
