-- The days of the ledger are tables, and only the owner of request_part may add and drop them. These functions do it for
-- a consumer that is not the owner: they run with the rights of the role that ran the migration, in its schema alone.

CREATE FUNCTION make_ledger_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF request_part FOR VALUES IN (%L)',
        'request_part_' || to_char(day, 'YYYYMMDD'), day);
END
$$;

CREATE FUNCTION drop_ledger_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', 'request_part_' || to_char(day, 'YYYYMMDD'));
END
$$;

-- What the caller has in its search_path, or in its temporary tables, is not looked at.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION make_ledger_day(date) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION drop_ledger_day(date) SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION make_ledger_day(date), drop_ledger_day(date) FROM PUBLIC;
