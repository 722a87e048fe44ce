"""The show of a year, with a few orders and without its subscriber: each command ends as it should."""

from pathlib import Path

from shows.year import GROUPS, fill, operate
from shows.year_events import Sizes
from support.commands import orders_here
from support.installation import Installation

SMALL = Sizes(orders=600, letters=60, versions=20, large=1, cut=1)


def run(arguments: tuple[str, ...], env: dict[str, str], output: Path) -> tuple[int, float]:
    done = orders_here(*arguments, env=env)
    output.with_suffix(".out").write_text(done.stdout)
    output.with_suffix(".err").write_text(done.stderr)
    return done.returncode, 0.0


def test_every_command_of_an_operator_on_an_installation_with_everything(
    installation: Installation, tmp_path: Path
) -> None:
    fill(installation, SMALL, consumers=1)
    figures = operate(installation, installation.start_ingress(), SMALL, run, tmp_path, set(GROUPS) - {"wait"}).figures
    assert sum(figure.posts for figure in figures)
    assert not sum(figure.unanswered for figure in figures)
