# Everything a person or CI does here. A fresh machine needs make, Python 3.11 or newer and (for `make lint`) luacheck;
# the first target that needs it creates .venv from the hashed lock files in requirements/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/requirements.stamp
INSTALLED := $(VENV)/package.stamp
TYPED := service tests tools deploy $(wildcard benchmarks)
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help run test test-cluster test-feed soak bench bench-quick lint fmt proto lock clean

help: ## List the targets
	@echo 'usage: make TARGET [NAME=value ...]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) ## Start the service with sample accounts and a little traffic (ONCE=1: stop after one pass)
	@$(BIN)/creditgate demo $(if $(ONCE),--once)

test: lint ## Lint, then run all tests (PYTEST='-k name' passes options to pytest)
	@echo '== pytest: tests/'
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

bench: $(INSTALLED) ## Measure speed and memory on servers of its own, about 15 minutes (docs/benchmarks.md)
	@$(BIN)/python -m benchmarks

bench-quick: $(INSTALLED) ## The same rows with shorter turns and fewer accounts, about 3 minutes
	@$(BIN)/python -m benchmarks --size quick

test-cluster: $(INSTALLED) ## Run only the tests of a Redis Cluster, replicas and sentinels (LONG=1: every server, 20 failovers)
	@LONG=$(LONG) $(BIN)/pytest -m cluster tests/cluster $(PYTEST)

test-feed: $(INSTALLED) ## Run only the tests that kill parts of the limit feed (LONG=1: 100,000 rows, 30 kills; SEED=...)
	@LONG=$(LONG) $(if $(SEED),SEED=$(SEED)) $(BIN)/pytest tests/faults/test_limit_feed_kill.py $(PYTEST)

soak: $(INSTALLED) ## Check histories under load, kills and freezes (DURATION=15m, SEED=...; docs/testing.md)
	@$(BIN)/python -m tests.history $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED))

lint: $(INSTALLED) ## Check style, types, layers, protos, Lua, generated code, deploy/; change nothing
	@echo '== ruff check: style'
	@$(BIN)/ruff check --quiet
	@echo '== ruff format: layout'
	@$(BIN)/ruff format --check --quiet
	@echo '== mypy: types'
	@$(BIN)/mypy --no-error-summary $(TYPED)
	@echo '== lint-imports: layers'
	@$(BIN)/lint-imports --no-logo
	@echo '== buf: protos'
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@echo '== generated code: as protos/ gives it'
	@$(BIN)/python tools/generate_code.py --check
	@echo '== luacheck: Redis Functions'
	@$(BIN)/python tools/lint_library.py
	@echo '== hadolint: Dockerfile'
	@$(BIN)/hadolint Dockerfile
	@echo '== check-jsonschema: deploy/compose.yaml'
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

fmt: $(INSTALLED) ## Lay out Python and protos, and apply the safe fixes of ruff
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format
	@$(BIN)/buf format --write protos

proto: $(INSTALLED) ## Generate service/creditgate/v1 from protos/
	@$(BIN)/python tools/generate_code.py

lock: $(LOCKED) ## Lock the dependencies of pyproject.toml in requirements/ (UPGRADE=1: at their newest versions)
	@$(LOCK) --output-file requirements/runtime.txt
	@$(LOCK) --extra embedded --extra parquet --group dev --output-file requirements/dev.txt

clean: ## Remove .venv, caches and build results; data of the embedded Redis stays
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find service tests tools $(wildcard benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +

$(LOCKED): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "creditgate needs Python 3.11 or newer; '$(PYTHON)' is not. Name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo '== $(VENV): installing the locked dependencies (about a minute, once)'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
