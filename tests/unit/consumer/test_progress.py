"""How far behind a consumer says that it is."""

from consumer.progress import FRESH_S, Behind, Progress


def behind(progress: Progress, now_s: float) -> dict[int, Behind]:
    return dict(progress.behind(now_s))


def test_a_partition_that_is_applied_to_its_end_is_not_behind() -> None:
    progress = Progress()
    progress.apply({0: 10.0})
    progress.look({0: 5}, {0: 5}, 1000.0)
    assert behind(progress, 1001.0) == {0: Behind(5, 0, 0.0)}


def test_one_event_after_an_hour_of_nothing_is_as_old_as_the_last_look() -> None:
    progress = Progress()
    progress.apply({0: 10.0})
    progress.look({0: 5}, {0: 5}, 3600.0)
    progress.look({0: 5}, {0: 6}, 3601.0)
    assert behind(progress, 3602.0) == {0: Behind(5, 1, 2.0)}


def test_a_consumer_that_catches_up_is_as_far_behind_as_its_last_event_is_old() -> None:
    progress = Progress()
    progress.look({0: 0, 1: 0}, {0: 100, 1: 100}, 1000.0)
    progress.apply({0: 400.0, 1: 990.0})
    progress.look({0: 50, 1: 50}, {0: 100, 1: 100}, 1001.0)
    assert behind(progress, 1002.0) == {0: Behind(50, 50, 602.0), 1: Behind(50, 50, 12.0)}


def test_if_nobody_looks_all_partitions_are_behind_since_the_last_look() -> None:
    progress = Progress()
    progress.look({0: 5}, {0: 5}, 1000.0)
    assert behind(progress, 1000.0 + FRESH_S)[0].behind_s == 0
    assert behind(progress, 1060.0)[0].behind_s == 60


def test_a_partition_that_was_taken_away_or_of_which_nothing_is_known_is_not_told() -> None:
    progress = Progress()
    progress.look({0: 5, 1: 0}, {0: 5}, 1000.0)
    assert behind(progress, 1000.0).keys() == {0}
    progress.look({1: 0}, {0: 9, 1: 3}, 1001.0)
    assert behind(progress, 1001.0).keys() == {1}


def test_a_clock_that_goes_back_gives_no_negative_age() -> None:
    progress = Progress()
    progress.apply({0: 2000.0})
    progress.look({0: 1}, {0: 2}, 1000.0)
    assert behind(progress, 999.0)[0].behind_s == 0
