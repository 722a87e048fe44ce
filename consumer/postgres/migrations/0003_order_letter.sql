-- Orders with a dead letter that is newer than their row, or than no row: where the newest such event stands. While it is
-- here, an event with the row's own value moves the row's event_offset too, so that a redriven letter that is older than
-- it is known to be older. A table of its own, and not a column of orders, so that no constraint of a shop's refuses it.
CREATE TABLE order_letter (
    partner_id   text COLLATE "C" NOT NULL,
    order_id     text COLLATE "C" NOT NULL,
    event_offset bigint NOT NULL,
    PRIMARY KEY (partner_id, order_id)
);
