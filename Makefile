# Only git, make and Python >= 3.11 are assumed; everything else is installed into .tools/ and .venv/.
#   make study PARAMS=params/smoke.yaml ARGS="--set training.epochs=3"
#   make test ARGS="tests/study -q"
#   make env PYTHON=/path/to/python3.13

PARAMS ?= params/default.yaml
ARGS ?=
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
UV_VERSION := 0.13.9

UV := .tools/bin/uv
BIN := .venv/bin
STAMP := .venv/.up-to-date

.DEFAULT_GOAL := help
.PHONY: help env study test lab release docs lint check lock clean nbdime

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

env: $(STAMP) ## create or update the environment in .venv

study: $(STAMP) ## run the study, by default params/default.yaml
	@$(BIN)/study run $(PARAMS) $(ARGS)

test: $(STAMP) ## run all tests, on all cores
	@$(BIN)/python -m pytest -n logical --dist loadfile $(ARGS)

coverage: $(STAMP) ## run all tests and list the lines of the helpers that none of them runs
	@$(BIN)/python -m pytest -n logical --dist loadfile --cov --cov-report=term-missing $(ARGS)

lab: $(STAMP) ## open JupyterLab on the notebooks
	@$(BIN)/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks $(ARGS)

release: study ## run the study and copy its report and numbers to reports/
	@mkdir -p reports
	@cp runs/default/report.html reports/default.html
	@cp runs/default/metrics.json reports/default_metrics.json

docs: $(STAMP) ## write the reference of all helpers, from their docstrings, to site/
	@$(BIN)/pdoc -d numpy -o site helpers
	@echo "site/index.html"

lint: $(STAMP) ## check style and architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

check: lint test ## lint, then test

lock: $(UV) ## pin the newest versions that pyproject.toml allows in requirements.lock
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 --extra ct --extra dask --group dev \
	    --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean: ## remove the environment and caches; runs/ and data/ stay
	@if [ -x $(BIN)/nbdime ]; then $(BIN)/nbdime config-git --disable; fi
	@rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment holds exactly what the lock lists, then this project as an editable install.
$(STAMP): requirements.lock pyproject.toml $(UV)
	@echo "Installing the packages of requirements.lock into .venv (about 5 GB, some minutes the first time)"
	@test -x $(BIN)/python || .tools/bin/python -m venv --without-pip .venv
	@$(UV) pip sync --quiet --python .venv --require-hashes requirements.lock
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@$(MAKE) --no-print-directory nbdime
	@touch $@
	@echo "Environment ready: .venv"

# git calls the drivers by their full path, so that `git diff` works without an activated environment.
nbdime:
	@if git rev-parse --git-dir >/dev/null 2>&1; then \
	    $(BIN)/nbdime config-git --enable; \
	    git config diff.jupyternotebook.command "'$(CURDIR)/$(BIN)/git-nbdiffdriver' diff"; \
	    git config merge.jupyternotebook.driver "'$(CURDIR)/$(BIN)/git-nbmergedriver' merge %O %A %B %L %P"; \
	fi

$(UV):
	@for name in $(CANDIDATES); do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$name"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "No Python >= 3.11 among: $(CANDIDATES). Install one, or name it: make env PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Using $$("$$found" --version) ($$found)"; \
	"$$found" -m venv .tools || { echo "On Debian and Ubuntu the package python3-venv is needed as well" >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
