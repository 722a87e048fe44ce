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
