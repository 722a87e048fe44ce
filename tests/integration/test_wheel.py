"""The wheel works without a checkout: in an empty venv in another folder."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ingress.code_samples import code_samples
from ingress.docs_pages import docs_routes
from support.waiting import HANG_S

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "ingress", "consumer", "deploy")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a venv that has the wheel, and sees the libraries of this one, not the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    checkout = _copy_of_the_checkout(folder)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(checkout)]
    subprocess.run([*pip, *build], check=True, timeout=HANG_S)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    subprocess.run([*pip, "--python", programs / "python", "install", "--no-deps", wheel], check=True, timeout=HANG_S)
    (site_packages,) = (folder / "venv").glob("lib/python*/site-packages")
    # The libraries alone: the editable install of the checkout is in a .pth file, which is read in site folders only.
    (site_packages / "libraries.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    return programs


def _copy_of_the_checkout(folder: Path) -> Path:
    """Without the leftovers of an earlier build, which setuptools would pack too."""
    listed = [
        "git",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        *PACKAGES,
        "pyproject.toml",
        "README.md",
    ]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            target = folder / "checkout" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return folder / "checkout"


def _run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERS_", "PYTHON"))}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False
    )


def test_all_four_packages_are_there_with_their_data(installed: Path, tmp_path: Path) -> None:
    program = (
        f"import {', '.join(PACKAGES)}; from importlib.resources import files\n"
        f"print(*(package.__file__ for package in ({', '.join(PACKAGES)})))\n"
        "from consumer.postgres.migrate import _migrations; print(*sorted(_migrations()))\n"
        "print((files('contracts') / 'published' / 'asyncapi.json').is_file())\n"
        "from ingress.docs_pages import docs_routes; print(len(docs_routes()))\n"
        "from ingress.code_samples import code_samples; print(len(code_samples()))"
    )
    done = _run(tmp_path, installed / "python", "-c", program)
    assert done.returncode == 0, done.stderr
    paths, migrations, has_published, pages, samples = done.stdout.splitlines()
    assert all(Path(path).is_relative_to(installed.parent) for path in paths.split())
    package = Path(paths.split()[-1]).parent
    assert package.name == "deploy"
    assert [*package.rglob("*.yaml"), *package.rglob("Dockerfile")] == []  # who has a wheel needs no manifests
    expected = sorted(file.stem for file in (ROOT / "consumer/postgres/migrations").glob("*.sql"))
    assert migrations.split() == expected
    assert has_published == "True"
    assert (int(pages), int(samples)) == (len(docs_routes()), len(code_samples()))


def test_the_command_tells_what_it_can_do(installed: Path, tmp_path: Path) -> None:
    done = _run(tmp_path, installed / "orders", "--help")
    assert done.returncode == 0, done.stderr
    assert "ingress" in done.stdout


def test_an_ingress_without_settings_ends_with_the_name_of_what_is_missing(installed: Path, tmp_path: Path) -> None:
    done = _run(tmp_path, installed / "orders", "ingress")
    assert done.returncode != 0
    assert "ORDERS_KAFKA_BOOTSTRAP" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
