# Two commands for everybody: `make demo` and `make test`. Each makes .venv first when it has to; nothing else is
# needed beforehand but Python 3.11+ and make.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Files of tests side by side, a file in one process (its lakes are built once), the long audit first.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test lint soak bench docs clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-6s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Prometheus needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[text,dev]'
	@touch $(STAMP)

demo: $(STAMP) ## install, then the main job on a synthetic market, into ./lake
	$(BIN)/prometheus demo

test: $(STAMP) ## install, then the ordinary test suite
	$(BIN)/python -m pytest -m "not soak and not bench" $(PARALLEL)

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

soak: $(STAMP) ## long evidence: faults, fuzz, studies
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m pytest -m "not soak and not bench" $(PARALLEL) --cov=prometheus --cov-report=term --cov-fail-under=90

bench: $(STAMP) ## ratios against limits and peers
	$(BIN)/python -m pytest -m bench -s

docs: $(STAMP) ## rewrite the generated pages (lake/README.md, docs/reference)
	$(BIN)/python -m prometheus.cli.docs
	PROMETHEUS_REWRITE_PAGES=1 $(BIN)/python -m pytest -q tests/cli/test_errors_page.py tests/contract/test_what_catches_what.py

clean: ## remove the environment, caches and build output (never the lake)
	rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
