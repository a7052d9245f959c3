# Everything that one does with this repository. A bare machine with Python 3.11 (pip and venv), git, make and a C compiler will do.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORKERS ?= 3
CHAOS_ROUNDS ?= 100
SCHEDULES ?= 10000
PROCESSES ?= $(shell nproc)
EXAMPLES ?= 40
LISTED ?= 1000000

.PHONY: help setup servers demo test check format lint types layers docs secrets advisories dist bench compare chaos simulate fuzz reference constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) servers ## make .venv with all that is needed to run, test and change the service

demo: $(INSTALLED) ## start the service with a small router to talk to, and show three workflows at work
	$(BIN)/stepswitch demo

# What is compiled beforehand is not compiled again by each of the many processes that tests start, where PYTHONDONTWRITEBYTECODE is set.
test: setup ## run the tests
	@$(BIN)/python -m compileall -q -x '/test_[^/]*$$' src tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: setup format lint types layers docs secrets advisories ## run every check, then the tests (sizes, names and house rules are among them)
	@$(MAKE) test

format: $(INSTALLED) ## check the layout of the code
	$(BIN)/ruff format --check .

lint: $(INSTALLED) ## look for faults in the code
	$(BIN)/ruff check .

types: $(INSTALLED) ## check the types, tests included
	$(BIN)/mypy

layers: $(INSTALLED) ## check who imports whom
	$(BIN)/lint-imports --no-logo

docs: $(INSTALLED) ## check that the reference is current and build the pages into site/
	$(BIN)/python -m tools.make_reference --check
	$(BIN)/mkdocs build --strict --quiet

secrets: $(INSTALLED) ## look for secrets that were written into a file
	tools/check_secrets.sh

advisories: $(INSTALLED) ## ask for known weaknesses of what the service is built with
	$(BIN)/python -m tools.check_advisories

dist: $(INSTALLED) ## make what is released, into dist/: wheel, sources, and a bill of materials
	tools/make_dist.sh

bench: $(INSTALLED) ## measure, beside what the same machine gives without the service
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.long_execution
	$(BIN)/python -m benchmarks.lists --rows $(LISTED)
	$(BIN)/python -m benchmarks.paused --executions 2000
	$(BIN)/python -m benchmarks.sessions --sessions 300
	$(BIN)/python -m benchmarks.flood --mib 32
	$(BIN)/python -m benchmarks.backlog

compare: $(INSTALLED) ## measure beside other engines of durable execution, Restate and DBOS, which it installs into .compare
	tools/setup_engines.sh $(VENV) .compare
	$(BIN)/python -m benchmarks.others

chaos: setup ## kill the service at many random moments and count what every device was told
	CHAOS_ROUNDS=$(CHAOS_ROUNDS) $(BIN)/python -m pytest -m chaos --timeout 7200

simulate: setup ## run that many random schedules (SCHEDULES) through the engine, in so many processes (PROCESSES); a seed that breaks a promise is named, and what was met is counted
	STEPSWITCH_SIMULATION_AGAIN=100 $(BIN)/python -m pytest -n 0 tests/simulation/test_schedules.py -k happen_again
	$(BIN)/python -m tests.simulation.many --schedules $(SCHEDULES) --processes $(PROCESSES)

fuzz: setup ## hold the API against its description with some twenty thousand requests, EXAMPLES made up for each operation; SEED repeats a run
	FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -n 0 -s tests/fuzz/test_api.py -k as_it_is_described

reference: $(INSTALLED) ## write the reference pages that are made from the source
	$(BIN)/python -m tools.make_reference

constraints: ## write constraints.txt anew, with the newest versions that pyproject.toml allows
	tools/make_constraints.sh

clean: ## remove all that was made here
	rm -rf $(VENV) .compare build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

servers: $(INSTALLED)
	@tools/setup_servers.sh
	@tools/setup_provider.sh $(VENV)

$(INSTALLED): pyproject.toml constraints.txt tools/make_venv.sh
	tools/make_venv.sh $(VENV)
	touch $@
