# Everything from a bare machine with Python >= 3.11 and make. Options go to the command underneath: make demo ARGS="--help"
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
ARGS ?=
WORKERS ?= 3
LINKAGES ?= 2
# A linkage starts over a dozen processes. Compiling what they load again at each start takes as long as many a test.
unexport PYTHONDONTWRITEBYTECODE
# Other projects' packages named deploy or services would be run in place of ours.
unexport PYTHONPATH
# A user's own settings of pip, on where to install and what else, do not fit a .venv. Those on indexes, proxies and caches stay.
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIRE_VIRTUALENV PIP_DRY_RUN PIP_NO_DEPS PIP_CONSTRAINT PIP_REQUIREMENT \
  PIP_EDITABLE PIP_REQUIRE_HASHES PIP_IGNORE_INSTALLED PIP_UPGRADE
UV_VERSION := 0.13.9

BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
  --no-emit-index-url --no-emit-find-links --no-annotate --no-header

.PHONY: help setup demo up play test test-fast test-compose bench faults fuzz simulate check format contracts lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Options are passed on: make demo ARGS="--broker java"; all of them: $(BIN)/shuangcheng --help'

setup: $(READY) ## Make .venv from the lock (the other targets do it when needed)

demo: $(READY) ## Run a weekend and a summer through a whole linkage on this machine
	@$(BIN)/shuangcheng demo $(ARGS)

up: $(READY) ## Keep a whole linkage up on this machine until Ctrl-C
	@$(BIN)/shuangcheng up $(ARGS)

play: $(READY) ## Keep a linkage up whose registries have pages for people, until Ctrl-C
	@$(BIN)/shuangcheng play $(ARGS)

test: $(READY) ## Run all tests, on the best broker there is (SHUANGCHENG_BROKER=embedded|java|docker|HOST:PORT)
	@$(PYTEST) -m 'whole and not compose' -n $(LINKAGES) $(SIDE_BY_SIDE) $(ARGS); whole=$$?; \
	$(PYTEST) -m 'not whole and not compose' -n $(WORKERS) $(SIDE_BY_SIDE) $(ARGS); rest=$$?; \
	case $$whole-$$rest in 0-0|0-5|5-0) ;; *) exit 1 ;; esac # 5: nothing to run there

test-fast: $(READY) ## Run the tests that need no broker and no database
	$(PYTEST) tests/unit tests/contract tests/architecture -n $(WORKERS) $(SIDE_BY_SIDE) $(ARGS)

test-compose: $(READY) ## Prove deploy/compose.yaml; needs Docker with compose v2
	$(PYTEST) -m compose $(ARGS)

bench: $(READY) ## Measure deciding and latency on Apache Kafka, under 3 minutes: make bench ARGS="--json FILE"
	@$(BIN)/python -m tests.lab.benchmarks $(ARGS)

faults: $(READY) ## Break a running linkage on real Kafka in every way we know (ARGS="--list", "--only ID --seed N --json FILE")
	@$(BIN)/python -m tests.lab.faults $(ARGS)

fuzz: $(READY) ## Write 500,000 whole Kafka records by seed to the real border (ARGS="--records N --seed N --json FILE")
	@$(BIN)/python -m tests.lab.fuzz $(ARGS)

simulate: $(READY) ## Run a whole linkage in memory under faults, by seed (ARGS="--seeds N --from S")
	@$(BIN)/python -m tests.simulation $(ARGS)

check: $(READY) ## Check formatting, lint, types, import rules, house rules and the published contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m contracts.tools.publish --check
	$(BIN)/python -m contracts.tools.compatibility
	$(PYTEST) -q tests/architecture

format: $(READY) ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contracts: $(READY) ## Write the published contracts anew from the messages and topics
	$(BIN)/python -m contracts.tools.publish
	$(BIN)/python -m contracts.tools.compatibility

lock: $(READY) ## Write deploy/lock anew from pyproject.toml
	$(BIN)/pip install --quiet uv==$(UV_VERSION)
	$(LOCK) --upgrade --output-file deploy/lock/runtime.txt
	$(LOCK) --upgrade --extra embedded --extra dev --output-file deploy/lock/all.txt

clean: ## Remove .venv and what tools left behind
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): deploy/lock/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) -V 2>&1 | head -n 1). Try: make PYTHON=/path/to/python3.11" >&2; \
	  exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "setting up .venv (once)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r deploy/lock/all.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(READY)
