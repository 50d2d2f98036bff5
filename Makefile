# `make demo` and `make test` need git, make and Python 3.11 or newer, nothing else: the first run makes .venv and
# installs imgpipe into it. `make PYTHON=python3.12 test` uses that Python.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-opencv4 lint format types check bench docs fuzz clean

PYTHON ?=
export PYTHON
VENV ?= .venv
BIN = $(VENV)/bin

# One stamp for each set of packages, and for each PYTHON: another Python makes another environment.
STAMP = $(VENV)/.installed$(addprefix -,$(subst /,_,$(PYTHON)))
FOR_RUN = $(STAMP)-run
FOR_TEST = $(STAMP)-test
FOR_DEV = $(STAMP)-dev

OPENCV4 ?= .venv-opencv4
FOR_OPENCV4 = $(OPENCV4)/.installed$(addprefix -,$(subst /,_,$(PYTHON)))
PICTURES = codecs*.py imaging*.py operations*.py processing.py recipe*.py task.py hearing.py

$(FOR_OPENCV4): pyproject.toml tools/venv.sh
	@tools/venv.sh $(OPENCV4) opencv4
	@touch $@

$(FOR_RUN): EXTRA =
$(FOR_TEST): EXTRA = test
$(FOR_DEV): EXTRA = dev
$(FOR_RUN) $(FOR_TEST) $(FOR_DEV): pyproject.toml tools/venv.sh
	@tools/venv.sh $(VENV) $(EXTRA)
	@touch $@

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-19s %s\n", $$1, $$2}'

demo: $(FOR_RUN) ## process the photographs in data/input, once in each mode, on four simulated machines
	@set -e; for mode in random balanced redraw; do \
	    set -- run data/input --mode $$mode --load .8,.6,.5,.2 --delay 0.3 --seed 1 -o data/output_dir/$$mode; \
	    printf '\n$$ imgpipe %s\n' "$$*"; \
	    $(BIN)/imgpipe "$$@"; \
	done
	@printf '\nThe results are in:\n'; ls -d data/output_dir/random data/output_dir/balanced data/output_dir/redraw

test: $(FOR_TEST) ## run the tests; ARGS='-k wire' goes to pytest
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

test-opencv4: $(FOR_TEST) $(FOR_OPENCV4) ## run the tests of pictures under OpenCV 4; compare its results with those of 5
	@$(OPENCV4)/bin/python -m pytest -q -n auto --dist worksteal $(wildcard $(addprefix tests/test_,$(PICTURES)))
	@$(BIN)/python tools/opencv_results.py write $(OPENCV4)/results.npz
	@$(OPENCV4)/bin/python tools/opencv_results.py compare $(OPENCV4)/results.npz

lint: $(FOR_DEV) ## check style and formatting
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check

format: $(FOR_DEV) ## put the code into its format
	@$(BIN)/python -m ruff check --fix
	@$(BIN)/python -m ruff format

types: $(FOR_DEV) ## check the types
	@$(BIN)/python -m mypy

check: lint types test ## all checks

bench: $(FOR_TEST) ## measure: every published number comes from these scripts
	@$(BIN)/python benchmarks/throughput.py
	@$(BIN)/python benchmarks/simulation.py
	@$(BIN)/python benchmarks/thumbnails.py
	@$(BIN)/python -m benchmarks.hostile

docs: $(FOR_RUN) ## write docs/operations.md and its pictures anew, from the declarations of the operations
	@$(BIN)/python -m tools.operations_page

fuzz: $(FOR_TEST) ## damage images and decode them for ten minutes; ARGS='--minutes 60' and more
	@nice -n 19 $(BIN)/python -m benchmarks.fuzz $(ARGS)

clean: ## remove .venv, caches, and the results of the demo
	rm -rf $(VENV) $(OPENCV4) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis data/output_dir
	find imgpipe tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
