-- What a dry-run needs to know of the orders of a partner: whether they are there, and by their hashes whether a value is
-- theirs. A function of the owner's, so that an ingress needs no right to read orders, and a swap, which exchanges the
-- table, takes no right away. Each order is looked up by its key, however few rows the planner believes in.
CREATE FUNCTION order_hashes(partner text, order_ids text[]) RETURNS TABLE (order_id text, content_hash bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY SELECT o.order_id, o.content_hash FROM unnest(order_ids) AS k (id), LATERAL
        (SELECT orders.order_id, orders.content_hash FROM orders
         WHERE orders.partner_id = partner AND orders.order_id = k.id OFFSET 0) AS o;
END
$$;

-- What the caller has in its search_path, or in its temporary tables, is not looked at.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION order_hashes(text, text[]) SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION order_hashes(text, text[]) FROM PUBLIC;
