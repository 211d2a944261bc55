# The workshop of Slipway. `make help` lists what it can do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PORT ADMIN_PORT

.PHONY: help
help: ## List every target
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | awk -F'\t' '{printf "  %-16s %s\n", $$1, $$2}'

$(STAMP): requirements-dev.txt pyproject.toml
	@echo "slipway: building the environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--requirement requirements-uv.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes --requirement requirements-dev.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: env run test check format lock clean
env: $(STAMP) ## Build the Python environment in .venv

run: $(STAMP) ## Run the service with an embedded PostgreSQL and Redis and sample data (PORT=, ADMIN_PORT=)
	@exec $(BIN)/slipway dev

test: $(STAMP) ## Run every test that this machine can run
	@$(BIN)/pytest -n auto --dist loadgroup

check: $(STAMP) ## Formatting, lint, types, import rules and generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q -p no:cacheprovider tests/unit/test_architecture.py

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(STAMP) ## Compile the hashed requirements*.txt anew
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK) pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	@grep -A99 '^uv==' requirements-dev.txt | awk 'NR==1 || /--hash/ {print; next} {exit}' | sed '$$ s/ \\$$//' > requirements-uv.txt

clean: ## Remove the environment and the data of `make run`
	rm -rf $(VENV) .local
