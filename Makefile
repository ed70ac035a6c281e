# Didymos. `make` prints this help.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
AREA ?= data-path
NAME ?=

# Written once: a run of the tests starts many processes that read the same modules.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup static unit cover check test demo up servers servers-stop broker test-integration fuzz chaos chaos-servers load bench images new-service generate format dashboards-verify chart-test chart-generate cluster-test

help: ## print this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: build/.setup ## make the environment in .venv (torch comes with it: about 5 GB)

build/.setup: requirements/build.txt requirements/dev.txt requirements/torch.txt $(wildcard libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml)
	@PYTHON=$(PYTHON) tools/setup.sh

static: setup ## formatting, lint, types, import contracts, buf, generated files
	@tools/static.sh

unit: setup ## unit and contract tests on the embedded adapters
	@tools/unit.sh

cover: setup ## the same tests, twice as long, and the coverage of the pure parts
	@tools/unit.sh --cov --cov-report= --cov-config=pyproject.toml
	@$(BIN)/python tools/coverage_bar.py

check: export HYPOTHESIS_PROFILE = quick
check: static unit ## everything quick: static and unit, properties on 25 examples

test: static cover chart-test ## what a newcomer runs: set-up, checks and all tests that need no server
	@$(BIN)/pytest -m "slow and not servers and not chaos" libs services
	@$(BIN)/pytest -n 2 --dist loadfile -m "slow and not servers and not chaos" cli tests

demo: setup ## the main job on real data (ARGS=--json prints one JSON object)
	@$(BIN)/didymos demo $(ARGS)

up: setup ## run everything in one process, data in .didymos
	@$(BIN)/didymos up $(ARGS)

servers: setup ## get and start Kafka, Redis and PostgreSQL on loopback
	@$(BIN)/python tools/servers.py start

servers-stop: ## end them, by their process ids
	@$(BIN)/python tools/servers.py stop

broker: ## get an MQTT broker, mosquitto: tests of the gateway start it themselves, and are skipped without it
	@$(PYTHON) tools/servers.py broker

test-integration: servers ## contract tests and scenarios on the real servers
	@eval "$$($(BIN)/python tools/servers.py env)" && $(BIN)/pytest -m "servers and not chaos" libs services tests $(ARGS)

fuzz: setup ## fuzz every decoder with coverage as the guide, 20 s each (ARGS="60 fhir csv")
	@$(BIN)/python -m tests.fuzz $(ARGS)

chaos: setup ## kill -9 at random points, 20 times
	@$(BIN)/pytest -m "chaos and not servers" tests/chaos tests/integration/test_sites.py $(ARGS)

chaos-servers: servers ## kill -9 of services and of real servers under load (ARGS="--kills 100 -k data_path")
	@eval "$$($(BIN)/python tools/servers.py env)" && $(BIN)/pytest -m "servers and chaos" tests/integration tests/chaos $(ARGS)

load: setup ## signed traffic into a house that runs, and an oracle over it (ARGS="--shape D G S --seconds 30")
	@$(BIN)/python -m tests.load $(ARGS)

bench: setup ## make bench AREA=data-path|learning|learning_tasks|log|ledger|privacy
	@$(BIN)/python -m tests.bench $(AREA) $(ARGS)

images: ## build the images (ARGS="service --load" one of them, into the cluster of the kit)
	@$(PYTHON) tools/images.py $(ARGS)

chart-test: setup ## render every example of the chart, and hold the renders to its rules
	@$(BIN)/pytest -n 2 tests/chart $(ARGS)

chart-generate: setup ## write the chart's schema, topics, README and the renders of its examples
	@$(BIN)/python -m tools.chart_golden

cluster-test: setup ## install the chart on a real Kubernetes (CLUSTER_KIT) and change it under load
	@$(BIN)/python -m tests.cluster $(ARGS)

new-service: setup ## make new-service NAME=x
	@$(BIN)/python tools/new_service.py $(NAME)

generate: setup ## write everything that is generated from a source in the tree
	@$(BIN)/python tools/protos.py && $(BIN)/python tools/metrics.py && $(BIN)/python tools/golden.py && $(BIN)/python tools/openapi.py

dashboards-verify: setup ## ask every panel of every dashboard, with a real Prometheus, in a house under load
	@$(BIN)/python -m tools.dashboards_verify

format: setup ## format the tree
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .
