# `make help` lists the commands. Each creates what it needs: nothing has to be installed first but
# Python 3.11 or newer, and on the second run nothing is installed again.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip --disable-pip-version-check install --quiet
CORE := $(VENV)/core-installed
DEV := $(VENV)/dev-installed
BENCH := $(VENV)/bench-installed
MUTANTS := $(VENV)/mutants-installed
SOURCES := eventsourcing tests tools examples docs conftest.py benchmarks

# Node.js comes from the development dependencies, whatever the machine has.
export PYRIGHT_PYTHON_GLOBAL_NODE := off
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types docs faults mutants bench format clean

help: ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

demo: $(CORE) ## Run the example application on a SQLite file
	@$(RUN) examples.bank

test: lint types docs ## Run every check, then every test on all four backends, then break things
	$(RUN) pytest --cov --numprocesses $(WORKERS) --dist loadscope
	$(RUN) tests.faults --jobs $(WORKERS) --untimed

lint: $(DEV) ## Check style, format, and that no SQL is made of what is given
	$(RUN) ruff check $(SOURCES)
	$(RUN) ruff format --check $(SOURCES)
	$(RUN) pytest --quiet tests/test_static_security.py

types: $(DEV) ## Check types, with mypy and with pyright
	$(RUN) mypy $(SOURCES)
	$(RUN) pyright

docs: $(DEV) ## Build the documentation into docs/_build
	$(RUN) sphinx -W --keep-going -q -b html docs docs/_build/html

faults: $(DEV) ## Break things, and look what is left; FULL=1 for the long figures
	$(RUN) tests.faults --jobs $(WORKERS) $(if $(FULL),--full) $(FAULTSFLAGS)

mutants: $(MUTANTS) ## Change the code in small ways, and look which changes no test notices
	$(RUN) tests.mutants --jobs $(WORKERS) $(MUTANTSFLAGS)

bench: $(BENCH) ## Measure against the bare drivers, and write docs/explanation/benchmarks.md
	@$(RUN) benchmarks.run $(BENCHFLAGS)

format: $(DEV) ## Format the code
	$(RUN) ruff check --fix-only $(SOURCES)
	$(RUN) ruff format $(SOURCES)

clean: ## Remove the virtual environment and all that is generated
	rm -rf $(VENV) .tox build dist mutants docs/_build *.egg-info htmlcov .coverage .coverage.*
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(CORE): pyproject.toml
	$(PYTHON) -m tools.make_venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(DEV): pyproject.toml
	$(PYTHON) -m tools.make_venv $(VENV)
	$(PIP) --editable '.[dev]'
	@touch $(CORE) $@

$(BENCH): pyproject.toml
	$(PYTHON) -m tools.make_venv $(VENV)
	$(PIP) --editable '.[bench]'
	@touch $(CORE) $@

$(MUTANTS): pyproject.toml
	$(PYTHON) -m tools.make_venv $(VENV)
	$(PIP) --editable '.[mutants]'
	@touch $(CORE) $(DEV) $@
