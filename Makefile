# Everything a developer or an operator types. `make help` lists it; no other step is needed first.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
DATA ?= .wutong
SEED ?= 1
ARGS ?=

BIN := .venv/bin
LOCKED := .venv/.locked
GENERATED := .venv/.generated
READY := .venv/.ready
PROTO := $(shell find proto -mindepth 1)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CACHES := .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache \
  __pycache__ build dist

.PHONY: help run demo test sim bench diagrams format lint type layers proto package lock clean reset

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' \
	  $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter (3.11 or newer), DATA=folder the ledgers,"
	@echo "  ARGS='...' is handed on to run, demo, test, sim and bench."

run: $(READY) ## start two clusters and a relay, play the trade, stay up until Ctrl-C
	@exec $(BIN)/wutong up --data "$(DATA)" $(ARGS)

demo: $(READY) ## the same in a folder of its own; stops at the end, non-zero if it failed
	@exec $(BIN)/wutong up --demo $(ARGS)

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

sim: $(READY) ## replay one simulated world: make sim SEED=7
	$(BIN)/python -m tests.simulation --seed $(SEED) $(ARGS)

bench: $(READY) ## measure speed on this machine (FULL=1 for the long run)
	$(BIN)/python -m tests.bench $(ARGS)

diagrams: $(READY) ## draw docs/state-machines.md from the tables in the code
	$(BIN)/python -m tests.tidy.machines

format: $(READY) ## rewrite the code in the one format
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

lint: $(READY) ## check style and proto files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/buf lint proto

type: $(READY) ## check types, strictly
	$(BIN)/mypy

layers: $(READY) ## check that every import obeys the layers
	$(BIN)/lint-imports --no-cache

proto: $(READY) ## generate code from proto/ (only when a .proto changed)

package: $(READY) ## build the sdist and the wheel into dist/
	rm -rf dist
	$(BIN)/python -m hatchling build

lock: $(LOCKED) ## choose new versions of the libraries: rewrites requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --group dev pyproject.toml -o requirements.lock

clean: ## remove caches, generated code and builds (the ledgers and .venv stay)
	rm -rf $(CACHES) $(GENERATED) $(READY)
	find bizchain assetchain relay common tests -name __pycache__ -prune -exec rm -rf {} +
	find bizchain assetchain relay common \( -name '*_pb2*.py' -o -name '*_pb2*.pyi' \) -delete

reset: ## forget the ledgers and keys of `make run` (asks first)
	@if [ ! -e "$(DATA)" ]; then echo "There is nothing in $(DATA)."; exit 0; fi; \
	if [ ! -f "$(DATA)/network.toml" ]; then \
	  echo "$(DATA) has no network.toml: not a data folder, nothing removed." >&2; exit 1; fi; \
	read -r -p "Forget both ledgers and all keys in $(DATA)? Type yes: " answer || answer=no; \
	if [ "$$answer" != yes ]; then echo "Nothing removed."; exit 1; fi; \
	rm -rf -- "$(DATA)"; echo "Forgotten."

$(LOCKED): requirements.lock
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer with venv is needed, and $(PYTHON) is not it." >&2; \
	  echo "Name another: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the locked libraries into .venv ..."
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@touch $@

$(GENERATED): $(LOCKED) hatch_build.py $(PROTO)
	$(BIN)/python hatch_build.py
	@touch $@

# Only the entry point and the list of packages are installed; the code is used where it stands.
$(READY): $(LOCKED) $(GENERATED) pyproject.toml
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
