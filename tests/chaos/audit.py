"""Triggers that write down what the consumers do to the tables, in their own transactions.

The tables show only the end state; I4 and I6 are about the steps. A restored backup restores these rows too, so
that they always tell how the tables came to be as they are.
"""

AUDIT = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.fence_move (
    n bigserial, tx bigint, partition int, before bigint, after bigint, at_s float8
);
CREATE TABLE chaos.row_write (
    n bigserial, tx bigint, partner_id text, order_id text, partition int, event_offset bigint
);
CREATE FUNCTION chaos.note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos.fence_move (tx, partition, before, after, at_s) VALUES
        (txid_current(), NEW.partition, OLD.next_offset, NEW.next_offset, extract(epoch FROM clock_timestamp()));
    RETURN NULL;
END $$;
CREATE FUNCTION chaos.note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos.row_write (tx, partner_id, order_id, partition, event_offset) VALUES
        (txid_current(), NEW.partner_id, NEW.order_id, NEW.event_partition, NEW.event_offset);
    RETURN NULL;
END $$;
CREATE TRIGGER note_move AFTER UPDATE ON consumer_partition FOR EACH ROW
    WHEN (OLD.next_offset IS DISTINCT FROM NEW.next_offset) EXECUTE FUNCTION chaos.note_move();
CREATE TRIGGER note_write AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION chaos.note_write();
"""
