# The two commands: `make run` (the demo, end to end) and `make test`. Both set everything up first.
PYTHON ?= python3.11
CORES ?= all
WORKERS ?= 2
CONFIG ?= config/config.yaml
NAME := $(or $(shell sed -n 's/^name: *\([a-z0-9_-]*\).*/\1/p' $(CONFIG)),demo)
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --configfile $(CONFIG)
# Errors stay: `--quiet all` would swallow what is wrong with the configuration.
QUIETLY := --quiet rules progress host reason

.PHONY: run test lint docs bench clean
.DELETE_ON_ERROR:

# The lock decides: torch first, so that a CPU build that is already at hand is taken.
.venv/.installed: requirements.lock
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks venv: install python3-venv"; exit 1; }
	@echo "Setting up .venv from requirements.lock (a minute or two)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

# The lock on the folder dies with its process; so if it is free, a leftover lock of Snakemake's is from a kill.
run: .venv/.installed
	@mkdir -p results/$(NAME)
	@flock --nonblock --conflict-exit-code 9 results/$(NAME)/.running sh -c '\
	  $(SNAKEMAKE) --unlock $(QUIETLY) && \
	  $(SNAKEMAKE) --cores $(CORES) --rerun-incomplete --quiet host reason $(ARGS) && \
	  $(SNAKEMAKE) --report results/$(NAME)/report.html $(QUIETLY)' \
	  || { code=$$?; [ $$code -ne 9 ] || echo "another run of $(NAME) is going on"; exit $$code; }
	@cat results/$(NAME)/summary.txt
	@echo "Report: results/$(NAME)/report.html"

test: .venv/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

# What is made: config/README.md and the JSON schema from the configuration's model, the pages of patient histories, of
# data classes, of what runs again and, from a small run that is tampered with (two minutes), of provenance.
docs: .venv/.installed
	$(BIN)/python scripts/config_reference.py
	$(BIN)/python scripts/data_classes.py
	PYTHONPATH=scripts $(BIN)/python tests/timelines_page.py
	PYTHONPATH=scripts $(BIN)/python tests/tampering_page.py
	PYTHONPATH=scripts $(BIN)/python tests/workflow/rerun_table.py

bench: .venv/.installed
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf results/$(NAME) results/private/$(NAME)
