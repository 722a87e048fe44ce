"""A shop changes its tables under running processes: what partners are told, and what stands in the log."""

from concurrent.futures import ThreadPoolExecutor

from support.installation import Installation, texts
from support.orders import an_order
from support.waiting import eventually

FUNCTION = (
    "CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the shop is closed'; END $$; "
    "CREATE TRIGGER closed BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION closed()"
)


def test_columns_are_added_and_one_order_is_refused(installation: Installation) -> None:
    consumer = installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("shop")
    for number in range(8):  # statements are prepared by then
        assert installation.post(ingress, token, [an_order(f"B-{number}")]).counts == (1, 0, 0)
    installation.sql("ALTER TABLE orders ADD COLUMN exported boolean NOT NULL DEFAULT false")
    installation.sql("ALTER TABLE orders ADD COLUMN loud text GENERATED ALWAYS AS (upper(name)) STORED")
    installation.sql("ALTER TABLE orders ADD CONSTRAINT of_the_shop CHECK (name <> 'secret')")
    for size in (1, 100, 500):
        orders = [an_order(f"N-{size}-{number}") for number in range(size)]
        assert installation.post(ingress, token, orders).counts == (size, 0, 0)
        changed = [an_order(f"N-{size}-{number}", name="changed") for number in range(size)]
        changed[size // 2]["name"] = "secret"
        assert installation.post(ingress, token, changed).counts == (0, size - 1, 1)
    rows = installation.rows("shop")
    assert len(rows) == 8 + 601
    assert all(row["exported"] is False and row["loud"] == row["name"].upper() for row in rows.values())
    letters = installation.records(installation.settings.topics.dlq)
    assert len(letters) == 3
    assert all("of_the_shop" in str(texts(letter)) and "Failing row" not in str(texts(letter)) for letter in letters)
    assert "secret" not in consumer.log.read_text()


def test_a_table_that_refuses_everything_holds_the_orders_until_it_is_mended(installation: Installation) -> None:
    consumer = installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("shop")
    assert installation.post(ingress, token, [an_order("first")]).counts == (1, 0, 0)
    installation.sql(FUNCTION)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(installation.post, ingress, token, [an_order(f"W-{number}") for number in range(50)])
        try:
            eventually(lambda: "refuse every order" in consumer.log.read_text())
            assert not waiting.done()
        finally:
            installation.sql("DROP FUNCTION closed() CASCADE")
        assert waiting.result().counts == (50, 0, 0)
    line = next(line for line in consumer.log.read_text().splitlines() if "refuse every order" in line)
    assert "P0001 the shop is closed (function closed)" in line
    assert not installation.records(installation.settings.topics.dlq)
    assert consumer.exit_code is None
