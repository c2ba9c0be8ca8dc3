# Two commands for a fresh clone: `make train` trains, `make test` tests. Each first makes the virtual environment if it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: train test slow lint

train: $(VENV)/.ready
	$(BIN)/dist-alexnet train --strategy channel_split --gpus 2

test: $(VENV)/.ready
	$(BIN)/pytest

slow: $(VENV)/.ready
	$(BIN)/pytest -m slow --timeout 1800

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

$(VENV)/.ready: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements/lock.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
