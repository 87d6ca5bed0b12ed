# Mission Control. `make demo` sets everything up and runs the product; `make test` sets everything up and tests it.
# Needs Python 3.11+, make, a C compiler and cargo. All else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
VENV := .venv/.installed
STATIC := src/missioncontrol/web/static/.built
FRONTEND := $(shell find frontend -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: help setup demo run test test-all lint format bench lock clean

help:
	@echo "make setup     install everything into .venv; the command is then .venv/bin/missioncontrol"
	@echo "make demo      set up, then a simulated fleet with one bad release on http://127.0.0.1:8000"
	@echo "make run       set up, then the server on http://127.0.0.1:8000"
	@echo "make test      set up, then lint, types, layers and all tests that need no Debian package"
	@echo "make test-all  the tests with real browsers and PostgreSQL too (apt: firefox-esr, chromium, postgresql-15)"
	@echo "make lint      ruff, mypy --strict, import-linter"
	@echo "make bench     benchmarks against the peers (installs PySpark; needs Java 17)"
	@echo "make lock      pin the dependencies anew"

setup: $(VENV) $(STATIC)

$(VENV): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STATIC): $(VENV) $(FRONTEND)
	$(BIN)/python frontend/build.py
	@touch $@

demo: setup
	$(BIN)/missioncontrol demo $(ARGS)

run: setup
	$(BIN)/missioncontrol serve $(ARGS)

test: lint
	$(BIN)/python -m pytest -m "not apt" $(ARGS)

test-all: lint
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python bench/run.py $(ARGS)

lock:
	$(PYTHON) -m venv .build/lock && .build/lock/bin/pip install -q uv
	.build/lock/bin/uv pip compile pyproject.toml --group dev --generate-hashes --no-header --no-emit-index-url -q -o requirements.lock

clean:
	rm -rf .venv .build frontend/node_modules src/missioncontrol/web/static
