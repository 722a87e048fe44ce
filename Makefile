# Everything runs in .venv, from packages that are pinned with hashes in requirements/.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --require-hashes
.PHONY: help up setup check test asyncapi schema show-replay chaos chaos-breakages bench bench-quick lock clean

help:
	@echo "make up     start the whole system on this machine (Ctrl-C stops it)"
	@echo "make test   lint, types and every test, on a real Kafka and a real Postgres"
	@echo "make bench  against services that write to Postgres directly (20 minutes; make bench-quick: 5)"
	@echo "make show-replay  a million events replayed, killed, resumed and swapped under load (10 to 20 minutes)"
	@echo "make check  lint and types only"
	@echo "make asyncapi  write contracts/published/ from the models, and list new files that must be kept for ever"
	@echo "make schema  write consumer/postgres/schema.sql from the migrations"
	@echo "make chaos  load and faults: SEED=7 DURATION_S=120 BROKERS=3, more in ARGS (tests/chaos/README.md)"
	@echo "make setup  only make .venv, with what the tests need"
	@echo "make lock   pin the newest versions that pyproject.toml allows"
	@echo "make clean  remove .venv and caches (the data in .data stays)"

up: $(VENV)/.local
	@exec $(VENV)/bin/orders up

setup: $(VENV)/.dev

check: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test: check
	$(VENV)/bin/pytest -n 4 --dist loadfile

asyncapi: $(VENV)/.dev
	$(VENV)/bin/python -m deploy.asyncapi contracts/published
	PYTHONPATH=tests $(VENV)/bin/python -m support.kept

schema: $(VENV)/.dev
	PYTHONPATH=tests $(VENV)/bin/python -m support.schema_sql

SEED ?=
DURATION_S ?= 60
BROKERS ?= 1
CHAOS := PYTHONPATH=tests $(VENV)/bin/python -W error -m
chaos: $(VENV)/.dev
	$(CHAOS) chaos $(if $(SEED),--seed $(SEED)) --duration-s $(DURATION_S) --brokers $(BROKERS) $(ARGS)

chaos-breakages: $(VENV)/.dev
	$(CHAOS) chaos.hunt $(ARGS)

bench: $(VENV)/.bench
	PYTHONPATH=tests $(VENV)/bin/python -m bench

bench-quick: $(VENV)/.bench
	PYTHONPATH=tests $(VENV)/bin/python -m bench --quick

show-replay: $(VENV)/.dev
	PYTHONPATH=tests $(VENV)/bin/python -m shows.replay

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: requirements/local.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements/build.txt -r requirements/local.txt
	@$(MAKE) --no-print-directory package
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements/build.txt -r requirements/dev.txt
	@$(MAKE) --no-print-directory package
	@touch $@ $(VENV)/.local

$(VENV)/.bench: requirements/bench.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements/build.txt -r requirements/bench.txt
	@$(MAKE) --no-print-directory package
	@touch $@ $(VENV)/.dev $(VENV)/.local

.PHONY: package
package:
	@$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .

UV := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --no-header --upgrade
lock: $(VENV)/.dev
	$(UV) requirements/build.in -o requirements/build.txt
	$(UV) pyproject.toml -o requirements/run.txt
	$(UV) pyproject.toml -c requirements/run.txt --extra local -o requirements/local.txt
	$(UV) pyproject.toml -c requirements/run.txt --extra dev -o requirements/dev.txt
	$(UV) pyproject.toml -c requirements/dev.txt --extra bench -o requirements/bench.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
