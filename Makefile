# Everything runs in .venv, which `venv` makes from nothing but Python >= 3.11. ARGS passes arguments on.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
PYTHON ?=
ARGS ?=
WORKERS ?= 3
export PYTHON

CHECKS := 'ruff check .' 'ruff format --check .' 'lint-imports --no-logo' 'python -m tools.lints' 'python -m mypy' 'python -m pyright' 'lead-orchestrator audit isolation --fresh'

.PHONY: help venv demo test check fmt migrate bench chaos eval schema docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

venv: ## make or update .venv from uv.lock (every other target does this first)
	@for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && exec "$$python" -I tools/bootstrap.py; \
	done; \
	echo 'Lead Orchestrator needs Python >= 3.11 and found none$(if $(PYTHON), at PYTHON=$(PYTHON)). Install it, or name it: make PYTHON=/path/to/python3' >&2; exit 1

demo: venv ## run everything with two seeded tenants and the sandbox (ARGS=--check: prove it and stop)
	@exec $(BIN)/lead-orchestrator demo $(ARGS)

test: venv ## run every test (ARGS="-k name" selects)
	@exec $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: venv ## run all static checks
	@failed=0; for check in $(CHECKS); do $(BIN)/$$check || { echo "^ failed: $$check"; failed=1; }; done; exit $$failed

fmt: venv ## format the code and apply safe fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

migrate: venv ## bring the database up to date (ARGS=--bootstrap creates the roles first)
	@exec $(BIN)/lead-orchestrator migrate $(ARGS)

bench: venv ## run every benchmark and print tables
	@exec $(BIN)/lead-orchestrator bench all $(ARGS)

chaos: venv ## kill workers, crash Postgres, lose replies, and count (ARGS=--quick)
	@exec $(BIN)/lead-orchestrator chaos all $(ARGS)

eval: venv ## hold 50 conversations with the assistant (with OPENAI_API_KEY: by the real model)
	@exec $(BIN)/lead-orchestrator eval $(ARGS)

schema: venv ## write schema.graphql from the code
	@$(BIN)/python -m tools.lints --write-schema

docs: venv ## write the pages that are made of the code: docs/roles.md
	@$(BIN)/python -m tools.lints --write-docs

lock: venv ## bring uv.lock up to date with pyproject.toml (ARGS=--upgrade moves every version)
	@exec $(BIN)/python tools/lock.py $(ARGS)

clean: ## remove .venv, caches and built files; the demo's data in .local stays
	@rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -not -path './.local/*' -prune -exec rm -rf {} +
