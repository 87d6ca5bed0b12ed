# Mission Control. `make demo` sets everything up and runs the product; `make test` sets everything up and tests it.
# Needs Python 3.11+, make, C and C++ compilers and cargo. All else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
VENV := .venv/.installed
SCALE := .venv/.scale-installed
STATIC := src/missioncontrol/web/static/.built
STACKWALK := .build/stackwalk/.installed
STACKWALK_SOURCES := $(shell find stackwalk -type f -not -name Cargo.lock)
CARGO := CARGO_TARGET_DIR=.build/stackwalk cargo
FRONTEND := $(shell find frontend -type f -not -path '*/node_modules/*' 2>/dev/null)

FUZZ_S ?= 600
DATA ?= .build/scale/data

.PHONY: help setup demo run test test-all test-scaled test-rust scale-up scale-fetch pictures fuzz lint format bench lock clean

help:
	@echo "make setup     install everything into .venv; the command is then .venv/bin/missioncontrol"
	@echo "make demo      set up, then a simulated fleet with one bad release on http://127.0.0.1:8000"
	@echo "make run       set up, then the server on http://127.0.0.1:8000"
	@echo "make test      set up, then lint, types, layers and all tests that need no Debian package"
	@echo "make test-all  the tests with real browsers, compilers and servers too (apt: the packages that .ci/run names)"
	@echo "make test-scaled  the tests of pages, API and commands again, with every server in the scaled form (needs what scale-up needs)"
	@echo "make scale-up  Kafka, an S3 server and PostgreSQL on this machine until Ctrl-C (needs Java 17, Maven, Go, PostgreSQL); WITH=trino: Trino too"
	@echo "make pictures  take most pictures of the documents anew, on the way of browser tests"
	@echo "make fuzz      fuzz the multipart reader and the walker, FUZZ_S seconds each [600]"
	@echo "make lint      ruff, mypy --strict, import-linter, cargo fmt and clippy"
	@echo "make bench     benchmarks against the peers (installs PySpark; needs Java 17)"
	@echo "make lock      pin the dependencies anew"

setup: $(VENV) $(STATIC) $(STACKWALK)

$(VENV): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STATIC): $(VENV) $(FRONTEND)
	$(BIN)/python frontend/build.py
	@touch $@

$(STACKWALK): $(VENV) $(STACKWALK_SOURCES)
	@rm -rf .build/stackwalk/wheels
	$(BIN)/maturin build -q --release --compatibility linux -m stackwalk/Cargo.toml --target-dir .build/stackwalk -o .build/stackwalk/wheels
	$(BIN)/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps .build/stackwalk/wheels/*.whl
	@touch $@

$(SCALE): $(VENV) requirements-scale.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-scale.lock
	@touch $@

scale-up: $(SCALE)
	$(BIN)/python -m deploy.local --data "$(DATA)" $(if $(WITH),--with $(WITH))

scale-fetch: $(SCALE)
	$(BIN)/python -m deploy.local --fetch-only $(if $(WITH),--with $(WITH))

demo: setup
	$(BIN)/missioncontrol demo $(ARGS)

run: setup
	$(BIN)/missioncontrol serve $(ARGS)

test: lint test-rust
	$(BIN)/python -m pytest -m "not apt" $(ARGS)

test-all: WITH = trino
test-all: lint test-rust scale-fetch
	$(BIN)/python -m pytest $(ARGS)

test-scaled: setup scale-fetch
	$(BIN)/python -m pytest --scaled -n 2 --dist loadfile tests/e2e $(ARGS)
	$(BIN)/python -m pytest --scaled -n 2 --dist loadfile tests/browser $(ARGS)
	$(BIN)/python -m pytest --scaled -n 2 --dist loadfile tests/unit/web $(ARGS)

test-rust: setup
	$(CARGO) test -q --release --manifest-path stackwalk/Cargo.toml

pictures: setup
	PICTURES=docs/images $(BIN)/python -m pytest -q tests/browser/test_*_story.py tests/browser/test_*_in_browser.py -k "five_clicks or crashier or branch_differs or add_a_measure or drawn_and_sorted or last_week"

fuzz: setup
	@mkdir -p .build/fuzz/multipart
	$(BIN)/python tests/fuzz/fuzz_multipart.py -max_total_time=$(FUZZ_S) -artifact_prefix=.build/fuzz/ .build/fuzz/multipart
	$(BIN)/python tests/fuzz/fuzz_walker.py --seconds $(FUZZ_S) --keep .build/fuzz

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p deploy.local
	$(BIN)/lint-imports --no-cache
	cargo fmt --manifest-path stackwalk/Cargo.toml --check
	$(CARGO) clippy -q --release --all-targets --manifest-path stackwalk/Cargo.toml -- -D warnings

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cargo fmt --manifest-path stackwalk/Cargo.toml

bench: setup
	$(BIN)/python bench/run.py $(ARGS)

lock:
	$(PYTHON) -m venv .build/lock && .build/lock/bin/pip install -q uv
	.build/lock/bin/uv pip compile pyproject.toml --group dev --generate-hashes --no-header --no-emit-index-url -q -o requirements.lock
	.build/lock/bin/uv pip compile pyproject.toml --extra scale -c requirements.lock --generate-hashes --no-header --no-emit-index-url --no-annotate -q -o requirements-scale.lock

clean:
	rm -rf .venv .build frontend/node_modules src/missioncontrol/web/static
