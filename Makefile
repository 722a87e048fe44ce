# Everything runs in .venv, from packages that are pinned with hashes in requirements/.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --require-hashes
.DEFAULT_GOAL := help
.PHONY: help up setup check fix test unit integration e2e asyncapi errors metrics schema chaos chaos-breakages bench
.PHONY: bench-quick show-replay show-year lock clean package clients pgbouncer libcurl kafka-classes image
.PHONY: test-containers compose-secrets manifests helm openapi docs-assets docs-pictures earlier-wheel show-sizes
.PHONY: show-versions

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.local ## start the whole system on this machine (Ctrl-C stops it)
	@exec $(VENV)/bin/orders up

setup: $(VENV)/.dev ## only make .venv, with what the tests need

check: $(VENV)/.dev ## lint, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

fix: $(VENV)/.dev ## mend what ruff can mend, format, and show what is left
	$(VENV)/bin/ruff check --fix .; found=$$?; $(VENV)/bin/ruff format . && exit $$found

# Neighbours run in one process, because they share what starts slowly. A process that is done takes over from others.
PYTEST := $(VENV)/bin/pytest -n 4 --dist worksteal
T ?=
test: $(if $(T),$(VENV)/.dev,check pgbouncer libcurl chromium kafka-classes) ## all checks and tests, on real servers; T=tests/...::name runs just that
	$(if $(T),$(VENV)/bin/pytest $(T),$(PYTEST))

# Debian packages that some tests need. If one cannot be installed, they are skipped, and say so.
APT := [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends
pgbouncer:
	@command -v pgbouncer /usr/sbin/pgbouncer >/dev/null || $(APT) $@; } >/dev/null 2>&1 \
	  || echo "PgBouncer cannot be installed: its tests are skipped"

libcurl:
	@ls /usr/include/{,*/}curl/curl.h 2>/dev/null | grep -q . || $(APT) libcurl4-openssl-dev; } >/dev/null 2>&1 \
	  || echo "The header files of libcurl cannot be installed: the client in C is not tested"

chromium:
	@command -v chromium >/dev/null || $(APT) $@; } >/dev/null 2>&1 \
	  || echo "Chromium cannot be installed: the pages are not looked at in a browser"

# Tests start many Kafka nodes: with an archive of the classes that they load, each costs less than half.
kafka-classes: $(VENV)/.dev
	@[ -e $(VENV)/kafka-classes.aot ] || PYTHONPATH=tests $(VENV)/bin/python -m support.kafka_classes

unit: $(VENV)/.dev ## only the tests that need no server (seconds)
	$(VENV)/bin/pytest -n 2 tests/unit

integration: kafka-classes libcurl ## only the tests of single parts, on a real Kafka and Postgres
	$(PYTEST) tests/integration

e2e: kafka-classes pgbouncer libcurl chromium ## only the tests of whole processes
	$(PYTEST) tests/e2e

ENGINE ?= $(firstword $(foreach engine,podman docker,$(shell command -v $(engine))))
IMAGE ?= localhost/order-upsert:dev
BUILD_OPTIONS ?=
image: ## build the container image: IMAGE=registry/name:tag, ENGINE=docker
	@[ -n "$(ENGINE)" ] || { echo "Neither podman nor docker is here. Install one of them, or name it with ENGINE=..."; exit 1; }
	BUILDAH_FORMAT=docker $(ENGINE) build --quiet $(BUILD_OPTIONS) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	  -t $(IMAGE) -f deploy/Dockerfile .

compose-secrets: ## make the passwords that deploy/compose.yaml needs, once
	$(PYTHON) deploy/compose/make-secrets

# Kafka and Postgres are containers of the official images here, and the image is what is tested. Not those tests that
# use no server, or whose budgets are those of local servers.
CONTAINER_TESTS ?= tests/containers tests/integration
test-containers: $(VENV)/.dev image ## integration tests on containers, and the tests of the image
	ORDERS_TEST_SERVERS=containers IMAGE=$(IMAGE) $(VENV)/bin/pytest -n 2 --dist worksteal $(CONTAINER_TESTS) \
	  $(patsubst %,--ignore=tests/integration/test_%.py,local_servers wheel work_consumer work_ingress)

KUSTOMIZE ?= kubectl kustomize
manifests: ## write deploy/kubernetes/rendered/ from the overlays
	for overlay in production small; do \
	  $(KUSTOMIZE) deploy/kubernetes/overlays/$$overlay >deploy/kubernetes/rendered/$$overlay.yaml || exit 1; done

HELM_VERSION := v3.22.0
helm: $(VENV)/bin/helm ## build helm from the Go proxy, for the test of the chart (10 minutes, once)
$(VENV)/bin/helm: | $(VENV)/bin/python
	GOBIN=$(abspath $(VENV)/bin) go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)

errors: $(VENV)/.dev ## write docs/errors.md from the catalogue of errors
	$(VENV)/bin/python -m ingress.catalogue docs/errors.md

metrics: $(VENV)/.dev ## write docs/metrics.md, the catalogue of metrics, from the code
	$(VENV)/bin/python -m deploy.metrics_page docs/metrics.md

asyncapi: $(VENV)/.dev ## write the topics' contract to contracts/published/, and list new files that must be kept forever
	$(VENV)/bin/python -m deploy.asyncapi contracts/published
	PYTHONPATH=tests $(VENV)/bin/python -m support.kept

openapi: $(VENV)/.dev ## the same for the contract of the HTTP API
	$(VENV)/bin/python -m deploy.openapi contracts/published
	PYTHONPATH=tests $(VENV)/bin/python -m support.kept

schema: $(VENV)/.dev ## write consumer/postgres/schema.sql from the migrations
	PYTHONPATH=tests $(VENV)/bin/python -m support.schema_sql

# A clone may have no history, so tests/e2e/test_upgrades.py has the wheel of an earlier commit in the repository.
EARLIER := tests/vendor/earlier
earlier-wheel: $(VENV)/.dev ## keep the wheel of another COMMIT=..., which today's program must work beside
	@[ -n "$(COMMIT)" ] || { echo "Name a commit: make earlier-wheel COMMIT=..."; exit 1; }
	folder=$$(mktemp -d) && trap 'rm -rf '"$$folder" EXIT && git archive $(COMMIT) | tar x -C $$folder \
	  && sed -i 's/^\(version = ".*\)"/\1+$(COMMIT)"/' $$folder/pyproject.toml && rm -f $(EARLIER)/*.whl \
	  && $(VENV)/bin/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation -w $(EARLIER) $$folder

SEED ?=
DURATION_S ?= 60
BROKERS ?= 1
CHAOS := PYTHONPATH=tests $(VENV)/bin/python -W error -m
chaos: $(VENV)/.dev ## load and faults: SEED=7 DURATION_S=120 BROKERS=3, more in ARGS (tests/chaos/README.md)
	$(CHAOS) chaos $(if $(SEED),--seed $(SEED)) --duration-s $(DURATION_S) --brokers $(BROKERS) $(ARGS)

chaos-breakages: $(VENV)/.dev ## break one promise at a time, and see whether the checker finds it
	$(CHAOS) chaos.hunt $(ARGS)

bench: $(VENV)/.bench ## against an outbox, services without a log, and Debezium's sink (40 minutes)
	PYTHONPATH=tests $(VENV)/bin/python -m bench $(ARGS)

bench-quick: $(VENV)/.bench ## the pairs, catching up and the starts, in 8 minutes
	PYTHONPATH=tests $(VENV)/bin/python -m bench --size quick $(ARGS)

show-replay: $(VENV)/.dev ## a million events replayed, killed, resumed and swapped under load (10 to 20 minutes)
	PYTHONPATH=tests $(VENV)/bin/python -m shows.replay

show-year: $(VENV)/.dev ## every command of an operator on an installation of a year; ARGS="--orders 10000" for a smaller one
	PYTHONPATH=tests $(VENV)/bin/python -m shows.year $(ARGS)

show-sizes: $(VENV)/.dev ## what an order costs in CPU, Kafka, tables and WAL, for docs/sizes.md (2 minutes)
	PYTHONPATH=tests $(VENV)/bin/python -m shows.sizes $(ARGS)

show-versions: $(VENV)/.dev ## the main path on the oldest and the newest Kafka, Postgres and Python (10 minutes); ARGS=/path/to/python3.13
	PYTHONPATH=tests $(VENV)/bin/python -m shows.versions $(ARGS)

docs-assets: $(VENV)/.dev ## fetch what /docs shows documents with, and write the clients that it shows
	$(VENV)/bin/python -m deploy.docs_assets ingress/pages docs/clients

docs-pictures: $(VENV)/.dev chromium ## walk through /docs to a first order, and write a picture of each step to docs/pictures/
	PYTHONPATH=tests $(VENV)/bin/python -m shows.docs_pages docs/pictures

clients: $(VENV)/.dev ## the ten clients of docs/clients, as far as their languages are here, against a local stack
	PYTHONPATH=tests $(VENV)/bin/python -m shows.clients $(ARGS)

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

package:
	@$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .

UV := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --no-header --upgrade
lock: $(VENV)/.dev ## pin the newest versions that pyproject.toml allows
	$(UV) requirements/build.in -o requirements/build.txt
	$(UV) pyproject.toml -o requirements/run.txt
	$(UV) pyproject.toml -c requirements/run.txt --extra local -o requirements/local.txt
	$(UV) pyproject.toml -c requirements/run.txt --extra dev -o requirements/dev.txt
	$(UV) pyproject.toml -c requirements/dev.txt --extra bench -o requirements/bench.txt

clean: ## remove .venv and caches (the data in .data stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
