# make book | test | notebook | serve | clean | help.   VENV=path reuses an environment, also one made by another clone.
VENV   ?= .venv
PRESET ?= study
PORT   ?= 8000
# The package runs on newer Pythons too; the workflow engine, which this environment holds, has no wheels for them yet.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

BIN    := $(VENV)/bin
OUT    := build/$(PRESET)
SITE   := $(OUT)/html
# An environment is out of date when these two files are not the ones it was made from.
STAMP  := $(VENV)/igbrepro-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1).stamp

# This clone comes first, whichever clone the environment was made in.
export PYTHONPATH := $(CURDIR)
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: book test notebook serve clean help environment

book: $(STAMP)  ## execute the notebooks and build the book (PRESET=smoke, laptop, study or paper)
	@$(BIN)/snakemake --cores all --logger igbrepro --quiet host --config preset=$(PRESET)
	@echo "The book is $(SITE)/index.html; make serve shows it with its search."

test: $(STAMP)  ## run all tests; those that need Chromium or Slurm are named where there is none
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

notebook: $(STAMP)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=.

serve: $(STAMP)  ## show the built book at http://127.0.0.1:8000 (PORT=...)
	@test -f $(SITE)/index.html || { echo "There is no book at $(SITE) yet: make book"; exit 1; }
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

clean:  ## delete everything generated, but not the environment
	rm -rf build .snakemake .pytest_cache .ruff_cache .hypothesis .benchmarks
	find igbrepro snakemake_logger_plugin_igbrepro notebooks tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: $(STAMP)

$(STAMP):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 with venv found (Debian: apt install python3-venv); or make PYTHON=path"; exit 1; }
	@echo "Making the environment $(VENV): 5 to 9 minutes and 6 GB of disk if nothing is there yet."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	rm -f $(VENV)/igbrepro-*.stamp
	touch $@
