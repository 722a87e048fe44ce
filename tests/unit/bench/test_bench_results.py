"""What the bench makes of its runs: ratios pair by pair, goals, the best number of processes, and the tables."""

from bench.catch_up import DEBEZIUM, CaughtUp, last_of_each_partition
from bench.experiments import ALONE, BATCHES, INSERTS, SINGLES, UNCHANGED, best_peers
from bench.load import Outcome
from bench.measured import Run, run_of
from bench.meter import Reading
from bench.report import markdown
from bench.results import Goal, Results, goals
from bench.services import OURS, Service
from bench.stack import drain_s_of
from bench.start import Start
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS

NOTHING_YET = Reading(cpu_s={"service": 1.0}, memory_bytes={"service": 0}, kafka_bytes=0, wal_bytes=0)


def run(load: str, service: Service, orders: int, p50_ms: float = 1.0, cpu_s: float = 0.0, drain_s: float = 0.0) -> Run:
    """One second in which so many orders were answered."""
    outcome = Outcome(
        seconds=1.0, counts={"inserted": orders}, latencies_ms=[p50_ms], statuses={"200": 1}, answered_orders=orders
    )
    after = Reading(cpu_s={"service": 1.0 + cpu_s}, memory_bytes={"service": 2**20}, kafka_bytes=0, wal_bytes=0)
    return run_of(load, str(service), outcome, NOTHING_YET, after, drain_s)


def caught_up(backlog: str, by: str, events_per_s: float) -> CaughtUp:
    figures = {"consumer": 0.2, "consumer 2": 0.1, "debezium": 0.5, "postgres": 0.1, "kafka": 0.1}
    return CaughtUp(backlog, by, events_per_s, figures, figures, 400.0)


def figures_of(name: str, found: list[Goal]) -> list[float]:
    [goal] = [goal for goal in found if goal.name == name]
    return goal.figures


def test_the_time_that_a_relay_needs_afterwards_counts() -> None:
    measured = run(BATCHES, Service("outbox"), 1_000, drain_s=1.0)
    assert (measured.orders_per_s, measured.taken_in_per_s) == (500, 1_000)


def test_draining_counts_for_what_the_measured_time_added() -> None:
    assert drain_s_of(waiting_before=0, waiting_after=0, seconds=0.01) == 0
    assert drain_s_of(waiting_before=0, waiting_after=100, seconds=2.0) == 2.0
    assert drain_s_of(waiting_before=75, waiting_after=100, seconds=2.0) == 0.5
    assert drain_s_of(waiting_before=100, waiting_after=50, seconds=2.0) == 0


def test_what_was_not_answered_is_known() -> None:
    outcome = Outcome(seconds=1.0, sent=4, counts={"inserted": 3}, latencies_ms=[1.0, 2.0, 3.0])
    assert run_of(SINGLES, "ours", outcome, NOTHING_YET, NOTHING_YET).answered_share == 0.75


def test_ratios_are_of_pairs_and_not_of_medians() -> None:
    pairs = [
        *(run(BATCHES, OURS, 100), run(BATCHES, Service("asyncpg", 2), 200), run(BATCHES, Service("outbox", 2), 40)),
        *(run(BATCHES, OURS, 300), run(BATCHES, Service("asyncpg", 2), 100), run(BATCHES, Service("outbox", 2), 75)),
        *(run(SINGLES, OURS, 10), run(SINGLES, Service("psycopg", 4), 5), run(SINGLES, Service("asyncpg", 1), 20)),
        *(run(ALONE, OURS, 1, p50_ms=3.0), run(ALONE, Service("psycopg"), 1, p50_ms=2.0)),
    ]
    found = goals(Results(pairs=pairs))
    assert figures_of("batches of 500, against direct asyncpg", found) == [0.5, 3.0]
    assert figures_of("batches of 500, against the outbox, relay included", found) == [2.5, 4.0]
    assert figures_of("single orders, 64 connections, against direct psycopg", found) == [2.0]
    assert figures_of("one connection, p50 against direct psycopg", found) == [1.5]


def test_a_pair_that_was_cut_off_is_left_out() -> None:
    pairs = [run(BATCHES, OURS, 100), run(BATCHES, Service("asyncpg"), 200), run(BATCHES, OURS, 100)]
    assert figures_of("batches of 500, against direct asyncpg", goals(Results(pairs=pairs))) == [0.5]


def test_catching_up_is_compared_for_inserts() -> None:
    results = [
        *(caught_up(INSERTS, "1 consumer", 30), caught_up(UNCHANGED, "1 consumer", 90)),
        *(caught_up(INSERTS, "2 consumers", 50), caught_up(INSERTS, DEBEZIUM, 20)),
    ]
    found = goals(Results(caught_up=results))
    assert figures_of("one consumer catches up, against Debezium", found) == [1.5]
    assert figures_of("two consumers catch up, against Debezium", found) == [2.5]


def test_only_the_processes_that_consume_cost_an_event() -> None:
    assert round(caught_up(INSERTS, "2 consumers", 1).cpu_us) == 30
    assert round(caught_up(INSERTS, DEBEZIUM, 1).cpu_us) == 50


def test_a_goal_is_reached_by_its_median() -> None:
    assert Goal("more", [0.1, 2.5, 9.0], 2.5, at_least=True).reached
    assert not Goal("more", [2.4, 2.4, 9.0], 2.5, at_least=True).reached
    assert Goal("less", [0.9, 1.0, 9.0], 1.0, at_least=False).reached
    assert not Goal("less", [0.9, 1.1, 9.0], 1.0, at_least=False).reached


def test_a_goal_that_this_run_did_not_measure_is_left_out() -> None:
    found = goals(Results(starts=[Start("consumer", 0.5, 1.0), Start("ingress", 1.5, 2.0)]))
    assert [(goal.name.split(",")[0], goal.reached) for goal in found] == [
        ("start of a consumer", True),
        ("start of an ingress", False),
    ]


def test_the_best_number_of_processes_is_that_of_the_load() -> None:
    runs = [
        *(run(BATCHES, Service("asyncpg", 1), 10), run(BATCHES, Service("asyncpg", 1), 10)),
        *(run(BATCHES, Service("asyncpg", 2), 30), run(BATCHES, Service("asyncpg", 2), 30)),
        *(run(BATCHES, Service("asyncpg", 4), 90), run(BATCHES, Service("asyncpg", 4), 1)),
        *(run(SINGLES, Service("asyncpg", 1), 9), run(SINGLES, Service("asyncpg", 2), 8)),
        *(run(BATCHES, Service("outbox", 1), 20), run(BATCHES, Service("outbox", 2), 25, drain_s=9.0)),
    ]
    best = best_peers(runs)
    assert best[BATCHES] == {"asyncpg": Service("asyncpg", 4), "outbox": Service("outbox", 1)}
    assert best[SINGLES] == {"asyncpg": Service("asyncpg", 1)}


def test_the_tables_have_what_was_measured_and_nothing_else() -> None:
    text = markdown(Results(pairs=[run(BATCHES, OURS, 1_000, cpu_s=0.031)]))
    assert "| batches of 500, 8 connections | ours | 1,000 | 1.00 | 1.00 | 1.00 | 31.0 |" in text
    assert "| CPU of all processes for an order in batches | 31.00 µs | 31.00 | ≤ 32 | yes |" in text
    assert "Catching up" not in text
    assert markdown(Results()) == ""


def test_every_table_is_made() -> None:
    results = Results(
        choices=[run(BATCHES, Service("asyncpg", 2), 1)],
        pairs=[run(BATCHES, OURS, 1)],
        caught_up=[caught_up(INSERTS, "1 consumer", 1)],
        starts=[Start("consumer", 0.5, 1.0)],
        offered={"ours": [(10.0, run("10% of the peak offered", OURS, 1))]},
        growth=[run("1 orders a request", OURS, 1)],
        overload=[run("peak", OURS, 1)],
    )
    assert markdown(results).count("###") == 9
    assert set(results.as_json()) >= {"choices", "pairs", "caught_up", "starts", "offered", "growth", "overload"}


def test_the_last_order_of_each_partition_is_known() -> None:
    numbers = range(5_000, 5_300)
    last = {partition_of(b"ORD-%010d" % number, UPSERT_PARTITIONS): number for number in numbers}
    assert last_of_each_partition(5_000, 300) == sorted(last.values())
    assert last_of_each_partition(5_000, 1) == [5_000]
