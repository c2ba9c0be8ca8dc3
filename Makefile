# Two commands for a fresh clone: `make train` trains, `make test` tests. Each first makes the virtual environment if it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A terminal sees how far the download is. Elsewhere, or under make -s, pip prints what goes wrong.
QUIET := $(if $(findstring s,$(firstword -$(MAKEFLAGS))),--quiet,$(if $(MAKE_TERMOUT),,--quiet))

.PHONY: train compare test slow lint

train: $(VENV)/.ready
	@echo "training on two processes; the first start takes longer than later ones"
	$(BIN)/dist-alexnet train --strategy channel_split --gpus 2

compare: $(VENV)/.ready
	@echo "five strategies on one and two processes, the full network; under ten minutes on two cores"
	$(BIN)/dist-alexnet compare --strategies single,ddp,channel_split,hybrid,one_weird_trick --gpus 1,2 -b 32

test: $(VENV)/.ready
	@echo "collecting the tests, which loads PyTorch; then they take 20 to 30 minutes on two cores"
	$(BIN)/pytest

slow: $(VENV)/.ready
	$(BIN)/pytest -m slow --timeout 1800

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

$(VENV)/.ready: requirements/lock.txt pyproject.toml
	@echo "installing what requirements/lock.txt lists into $(VENV): a download of about 4 GB, most of it CUDA libraries"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(QUIET) --requirement requirements/lock.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
