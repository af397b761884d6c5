# `make demo` and `make test` each set up all they need: a .venv with the package and its tools.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

LOWEST := .venv-lowest/bin/python

.PHONY: demo test test-slow test-lowest fuzz kill format clean

demo: $(STAMP)
	$(BIN)/vis segment 'sample_videos/*.mp4' -o demo
	@echo "The overlay videos, to look at:" && ls -1 "$(CURDIR)"/demo/*.mp4

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/pytest -m slow

# The tests with the lowest supported version of each package, as `make test-lowest PYTHON=python3.10`.
test-lowest: .venv-lowest/.installed
	OMP_NUM_THREADS=1 $(LOWEST) -m pytest -n 2 --dist worksteal

# N damaged inputs; SEED chooses which. CONTRIBUTING.md tells how a fault is run again.
SEED ?= 0
fuzz: N ?= 1000
fuzz: $(STAMP)
	$(BIN)/python -m tests.robustness.fuzz $(N) --seed $(SEED)

# Every command interrupted at N random points; a part of it runs in `make test`.
kill: N ?= 200
kill: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.robustness.kill -n $(N) --seed $(SEED)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Done again only when the dependencies may have changed.
$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# Where Python comes without ensurepip (Debian's python3), its own pip puts one into the .venv.
$(BIN)/python:
	$(PYTHON) -m venv .venv || \
	  { rm -rf .venv && $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python $@ install --quiet pip; }

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	test -x $(LOWEST) || $(PYTHON) -m venv .venv-lowest
	$(LOWEST) -m pip install --quiet --constraint constraints-lowest.txt --editable '.[training]' pytest pytest-xdist
	@touch $@

clean:
	rm -rf .venv .venv-lowest demo dist fuzz-faults .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
