# `make demo` and `make test` create a virtual environment in .venv and install the package with its tools into it.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

LOWEST := .venv-lowest/bin/python
EXPORTS ?= .venv-exports/bin/python

.PHONY: demo test docs docs-media dist test-dist test-slow test-exports test-openvino test-ray test-storage test-trackeval identity-golden test-lowest fuzz kill format clean

demo: $(STAMP)
	$(BIN)/vis segment 'sample_videos/*.mp4' -o demo
	@echo "Overlay videos:" && ls -1 "$(CURDIR)"/demo/*.mp4

# PYTHONDONTWRITEBYTECODE is emptied, so that the many processes of the tests do not compile the package again and again.
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# Build the site of docs/ in site/. A broken link is an error. No network is needed after the installation.
docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo "Site: $(CURDIR)/site/index.html"

# The packages of the extra `docs`, without torch: the pages are built from the text of the code.
.venv-docs/.installed: pyproject.toml
	test -x .venv-docs/bin/python || $(call venv,.venv-docs)
	.venv-docs/bin/python -m pip install --quiet $$(sed -n '/^docs = \[/,/^\]/s/^ *"\(.*\)".*/\1/p' pyproject.toml)
	@touch $@

# Draw the images of the documentation again. `demo/` contains the results that they show.
docs-media: $(STAMP)
	$(BIN)/vis segment 'sample_videos/*.mp4' -o demo --overwrite
	$(BIN)/python sample_videos/make_strip.py demo/cat.mp4 demo/launchpad.mp4 -o sample_videos/overlay.jpg
	$(BIN)/python docs/how-to/draw_render.py demo/launchpad.json
	$(BIN)/vis segment sample_videos/launchpad.mp4 -o demo/prompts --no-render --box 20:4,4,222,356 --point 20:450,150 --overwrite
	$(BIN)/python docs/how-to/draw_prompts.py demo/prompts/launchpad.json
	$(BIN)/python docs/explanation/figures/draw.py
	$(BIN)/vis render demo/launchpad.json --as contact-sheet -o docs/tutorials/contact-sheet.jpg --overwrite
	$(BIN)/vis eval demo --annotations sample_videos/annotations.json --plots docs/how-to/plots --overwrite

# Build the sdist and the wheel with the models, and check their contents.
dist: .venv-dist/bin/pyproject-build
	rm -rf dist
	.venv-dist/bin/python -m build --outdir dist
	.venv-dist/bin/python tests/check_dist.py dist

# Install the wheel in an empty environment, without the repository, and segment a frame folder without a network.
test-dist: dist
	.venv-dist/bin/python tests/check_dist.py dist --install

.venv-dist/bin/pyproject-build:
	$(call venv,.venv-dist)
	.venv-dist/bin/python -m pip install --quiet build

test-slow: $(STAMP)
	$(BIN)/pytest -m slow

# Read exports with their receivers, in an environment of their own: Datumaro requires other versions of OpenCV and Pillow.
test-exports: $(EXPORTS)
	PYTHONPATH=. $(EXPORTS) -m pytest -m exports tests/records/exports/test_receivers.py
	PYTHONPATH=. $(EXPORTS) -m pytest tests/records/test_video_result.py

$(EXPORTS):
	$(PYTHON) -m venv .venv-exports
	$@ -m pip install --quiet av datumaro opencv-python-headless pandas pyarrow pycocotools pytest supervision typer

# Run the tests of OpenVINO, which `make test` skips, in an environment of their own: nncf brings scikit-learn and others.
test-openvino: .venv-openvino/.installed
	.venv-openvino/bin/python -m pytest tests/network/openvino tests/engine/test_backend.py

.venv-openvino/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-openvino
	.venv-openvino/bin/python -m pip install --quiet --editable '.[openvino]' pytest
	@touch $@

# Read and write S3 (a server of moto) and HTTP on loopback, in an environment of their own: moto brings 40 packages.
test-storage: .venv-storage/.installed
	.venv-storage/bin/python -m pytest tests/batch/test_storage_servers.py

.venv-storage/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-storage
	.venv-storage/bin/python -m pip install --quiet --editable '.[storage]' 'moto[s3]' flask flask-cors pytest
	@touch $@

# Run the tests of Ray, which `make test` skips, in an environment of their own: they start clusters for a minute.
test-ray: .venv-ray/.installed
	.venv-ray/bin/python -m pytest tests/batch/test_ray_workers.py

.venv-ray/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --editable '.[ray]' pytest
	@touch $@

# Compare the metrics with trackeval. Its dependencies include a second OpenCV, so install it without them.
test-trackeval: .venv/.trackeval
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/metrics/test_trackeval.py

# Record the numbers of trackeval that tests/metrics/test_identity.py compares with.
identity-golden: .venv/.trackeval
	$(BIN)/python -m tests.golden.identity_recipe

.venv/.trackeval: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps trackeval scikit-image lazy-loader
	@touch $@

# Run the tests with the lowest supported version of each package: make test-lowest PYTHON=python3.10
test-lowest: .venv-lowest/.installed
	OMP_NUM_THREADS=1 $(LOWEST) -m pytest -n 2 --dist worksteal

# Run commands on N damaged inputs that SEED selects. CONTRIBUTING.md explains how to run a case again.
SEED ?= 0
fuzz: N ?= 1000
fuzz: $(STAMP)
	$(BIN)/python -m tests.robustness.fuzz $(N) --seed $(SEED)

# Interrupt each command at N random points that SEED selects. `make test` runs a part of these cases.
kill: N ?= 200
kill: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.robustness.kill -n $(N) --seed $(SEED)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Install again if pyproject.toml has changed. Compile the package here: pip does not compile an editable one.
$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m compileall -q vis_cli
	@touch $@

# Create an environment. If Python lacks ensurepip (as on Debian), install pip into it with the pip of this Python.
venv = $(PYTHON) -m venv $(1) || \
  { rm -rf $(1) && $(PYTHON) -m venv --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; }

$(BIN)/python:
	$(call venv,.venv)

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	test -x $(LOWEST) || $(PYTHON) -m venv .venv-lowest
	$(LOWEST) -m pip install --quiet --constraint constraints-lowest.txt --editable '.[onnx,training]' pytest pytest-xdist
	@touch $@

clean:
	rm -rf .venv .venv-dist .venv-docs .venv-exports .venv-lowest .venv-ray .venv-storage site demo dist fuzz-faults .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
