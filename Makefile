# Tasks of the project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export COVERAGE_FOLDER := $(CURDIR)/.local/coverage
# Without bytecode, each worker and each started process compiles the tests and the service again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | awk -F'\t' '{printf "  %-16s %s\n", $$1, $$2}'

$(STAMP): requirements-dev.txt pyproject.toml
	@echo "slipway: building the environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--requirement requirements-uv.txt
	@# Compile bytecode now, which halves start-up time even where PYTHONDONTWRITEBYTECODE is set.
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --requirement requirements-dev.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: env run test test-long fault-test client-test reliability bench coverage mutants check format reference lock clean
env: $(STAMP) ## Build the Python environment in .venv

run: $(STAMP) ## Run the service with an embedded PostgreSQL and Redis, and sample data (PORT=, ADMIN_PORT=)
	@exec $(BIN)/slipway dev

test: $(STAMP) ## Run the tests, except those of test-long, fault-test, observability-test and cluster-test (ARGS=)
	@# More workers than processors, since tests often wait. `make cluster-test` alone runs tests/cluster.
	@$(BIN)/pytest --ignore=tests/cluster -n "$$($(BIN)/python -c 'import os; print(min(5 * os.cpu_count() // 2, 8))')" --dist worksteal -m "not long and not fault and not observability" $(ARGS)

test-long: $(STAMP) ## Run the long tests: the API against its OpenAPI document, query plans on a million rows, many examples, many clients
	@$(BIN)/pytest -n auto -m long
	@SLIPWAY_TEST_PLAN_ROWS=1000000 $(BIN)/pytest -q tests/engine/test_plans.py
	@SLIPWAY_TEST_EXAMPLES=150 $(BIN)/pytest -q -n auto -m "hypothesis and not long" tests/contract tests/types

fault-test: $(STAMP) ## Run the fault tests; nothing else should use the machine (SLIPWAY_FAULT_SEED=, SLIPWAY_FAULT_FULL=1)
	@$(BIN)/pytest -m fault --durations=15 tests/faults

coverage: $(STAMP) ## Measure branch coverage of `make test`, for .local/coverage/report.txt and `make mutants` (ARGS= adds a part)
	@mkdir -p $(COVERAGE_FOLDER); $(if $(ARGS),,rm -f $(COVERAGE_FOLDER)/*)
	@COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(BIN)/pytest -n auto --dist worksteal --timeout 300 \
		-p tests.mutants.recording -m "not long and not fault and not observability" $(ARGS); \
	code=$$?; $(BIN)/coverage combine -q --append && $(BIN)/coverage report \
		--include='service/*' --show-missing --skip-covered > $(COVERAGE_FOLDER)/report.txt && \
	tail -n 1 $(COVERAGE_FOLDER)/report.txt && exit $$code # a failed test does not make what was recorded worthless

mutants: $(STAMP) ## Change a room of service/ line by line, and see whether its tests notice (ROOM=, NUMBER=, SEED=)
	@$(BIN)/python -m tests.mutants $(ROOM) --number $(or $(NUMBER),20) --seed $(or $(SEED),1) $(ARGS)

client-test: $(STAMP) ## Generate clients from the OpenAPI document, call every operation, and lint the document
	@tests/clients/tools .local/client-tools
	@SLIPWAY_CLIENT_TOOLS=$(CURDIR)/.local/client-tools $(BIN)/pytest tests/clients

reliability: $(STAMP) ## Update docs/reliability.md with the measurements of the last `make fault-test`
	@$(BIN)/python -m tests.faults.report

bench: $(STAMP) ## Measure what a request costs, against other ways to write the service; needs wrk (SCENARIO="read list", ARGS=)
	@$(BIN)/python -m benchmarks $(if $(SCENARIO),--scenarios $(SCENARIO)) $(ARGS)

check: $(STAMP) ## Check formatting, lint, types, migrations, expired feature flags, import rules and generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python docs/reference/generate.py --check
	@$(BIN)/python chart/reference.py --check
	@$(BIN)/python -m tests.migrations.lint
	@$(BIN)/slipway features check
	@$(BIN)/python -m chart.dashboards --check
	@$(BIN)/python compose/generate.py --check
	@$(BIN)/pytest -q -p no:cacheprovider tests/unit/test_architecture.py

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

reference: $(STAMP) ## Generate docs/reference from the code
	@$(BIN)/python docs/reference/generate.py

lock: $(STAMP) ## Update requirements*.txt, with hashes, from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK) pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	@grep -A99 '^uv==' requirements-dev.txt | awk 'NR==1 || /--hash/ {print; next} {exit}' | sed '$$ s/ \\$$//' > requirements-uv.txt

clean: ## Delete the environment and the data of `make run`
	rm -rf $(VENV) .local

# --- Image, chart and cluster ---
IMAGE ?= slipway:dev
# Without a digest, so that a local image of this tag is enough. Releases use the Dockerfile's digest.
PYTHON_IMAGE ?= python:3.13-slim
PYTHON_DIGEST ?=
DOCKER_BUILD ?= docker build
export IMAGE

.PHONY: image chart-deps chart-reference dashboards chart-test observability-test cluster-up cluster-test cluster-down
image: ## Build the container image and print its size (IMAGE=, PYTHON_IMAGE=, PYTHON_DIGEST=, DOCKER_BUILD=)
	@start=$$(date +%s); \
	DOCKER_BUILDKIT=1 $(DOCKER_BUILD) --tag $(IMAGE) --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) --build-arg PYTHON_DIGEST=$(PYTHON_DIGEST) \
		--build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
		--build-arg CREATED=$$(git log -1 --format=%cI 2>/dev/null || echo unknown) . && \
	size() { docker image inspect --format '{{.Size}}' "$$1"; } && \
	awk -v all=$$(size $(IMAGE)) -v base=$$(size $(PYTHON_IMAGE)) -v seconds=$$(($$(date +%s) - start)) 'BEGIN { \
		printf "image: $(IMAGE) in %d s, %.0f MB, %.0f MB more than $(PYTHON_IMAGE)\n", \
		seconds, all / 1e6, (all - base) / 1e6; \
		if (all - base > 200e6) { print "image: exceeds its budget of 200 MB on top of $(PYTHON_IMAGE)"; exit 1 } }'

chart-deps: ## Fetch the chart's dependencies, or copy them from the folder SLIPWAY_CHARTS_DIR=
	@chart/deps

chart-reference: $(STAMP) ## Generate chart/values.schema.json and the table in chart/README.md from chart/values.yaml
	@$(BIN)/python chart/reference.py

dashboards: $(STAMP) ## Generate chart/dashboards/*.json from the code in chart/dashboards
	@$(BIN)/python -m chart.dashboards

chart-test: $(STAMP) ## Test the chart without a cluster, and the workflows; fetches linters (SLIPWAY_CHARTS_DIR=)
	@chart/deps || echo "chart-test: the dependencies are not available; tests that need them will be skipped"
	@tests/chart/tools .local/chart-tools
	@SLIPWAY_CHART_TOOLS=$(CURDIR)/.local/chart-tools $(BIN)/pytest -n 2 -m "not observability" tests/chart tests/observability tests/release

observability-test: $(STAMP) ## Run every query of dashboards and alerts on a real Prometheus, and on Loki if installed (PICTURES=1 draws docs/pictures)
	@SLIPWAY_PICTURES=$(if $(PICTURES),$(CURDIR)/docs/pictures) $(BIN)/pytest -m observability tests/observability

cluster-up: image chart-deps ## Create a kind cluster for the tests, or use KUBECONFIG's, and load the image (SLIPWAY_KIND_IMAGE=)
	@k8s/cluster up

cluster-test: $(STAMP) ## Install the chart in that cluster and test it
	@k8s/cluster test

cluster-down: ## Delete that cluster, or from KUBECONFIG's cluster what the tests created
	@k8s/cluster down

# --- Docker Compose ---
.PHONY: compose-up compose-down compose-files
compose-up: ## Start the service, PostgreSQL, Redis and nginx with Docker Compose (TLS=1, PROFILES="core observability tools load")
	@compose/up

compose-down: ## Stop them; the volumes stay
	@docker compose --profile "*" down

compose-files: $(STAMP) ## Generate the rules, the data source and the log pipeline of the stack from the chart
	@$(BIN)/python compose/generate.py
