# Everything is set up from nothing but python3, make and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
READY := $(VENV)/.ready
SOURCES := lacbench cli dashboards baselines
DEMO ?= lacbench-demo
ART ?= ../shared/data/art

.PHONY: help install demo test test-long lint bench-collect bench-cluster bench-faults bench-fid bench-filters bench-frechet bench-hashing bench-leaks bench-search bench-significance bench-study bench-train-step bench-xdog format lock browser postgresql clean

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(READY)  ## .venv with the locked dependencies and lacbench itself, editable

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# uv, not pip: it takes torch and torchvision from the registry as one matching pair.
$(READY): requirements.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: $(READY)   ## the whole line on small open art; ends with the report's path
	$(BIN)/lacbench demo -o $(DEMO)

# Two at a time, each file by one of them: on two cores it takes little more than half as long.
test: $(READY) browser postgresql  ## the whole suite but the long tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long"

test-long: $(READY) browser postgresql  ## the long tests
	$(BIN)/python -m pytest -m long

# The browser tests skip with a reason where no Chromium can be installed.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; } || \
	  echo "no Chromium here: the browser tests will be skipped" >&2

# The study's store is tested on PostgreSQL too, in a cluster that the tests make and end themselves.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql-common >/dev/null && \
	    { mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >> /etc/postgresql-common/createcluster.conf; } && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql >/dev/null; } || \
	  echo "no PostgreSQL here: its tests will be skipped" >&2

# mypy cannot follow the package-dir mapping, so it reads the same tree through links.
lint: $(READY)   ## ruff and mypy --strict on the four source folders
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf build/tree && mkdir -p build/tree/lacbench
	@for f in lacbench/*; do ln -s ../../../$$f build/tree/lacbench/; done
	@for d in cli dashboards baselines; do ln -s ../../../$$d build/tree/lacbench/$$d; done
	cd build/tree && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p lacbench

bench-collect: $(READY)  ## collecting against img2dataset, on the same local server
	$(BIN)/python benchmarks/collect.py
	$(BIN)/python benchmarks/collect.py --memory

bench-cluster: $(READY)  ## two workers against one, on a local Dask cluster and without
	$(BIN)/python benchmarks/cluster.py

bench-faults: $(READY)  ## what faults do to line fidelity, hint adherence, bleeding (ART=folder, PAIRS=data set)
	$(BIN)/python benchmarks/faults.py $(ART) $(if $(PAIRS),--pairs $(PAIRS))

bench-fid: $(READY)  ## FID end to end against pytorch-fid, clean-fid and torch-fidelity (ART=folder)
	$(BIN)/python benchmarks/fid.py $(ART)

bench-filters: $(READY)  ## how well filters tell pictures apart, on labelled art (ART=folder)
	$(BIN)/python benchmarks/filters.py $(ART)

bench-frechet: $(READY)  ## the Fréchet distance against SciPy's square root of a matrix
	OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/frechet.py

bench-search: $(READY)  ## the near-duplicate search against others, and how it grows (ART=folder)
	$(BIN)/python benchmarks/search.py $(ART)

bench-significance: $(READY)  ## the analysis of a rating study, against statsmodels; which tests hold their level
	$(BIN)/python benchmarks/significance.py
	$(BIN)/python benchmarks/significance.py --studies 2000

bench-xdog: $(READY)  ## line drawings a second on one core, against SciPy and OpenCV (ART=folder)
	$(BIN)/python benchmarks/xdog.py $(ART)

bench-hashing: $(READY)  ## decoding, hashing and measuring pictures against imagehash (ART=folder)
	$(BIN)/python benchmarks/hashing.py $(ART)

bench-leaks: $(READY)  ## how well changed copies and drawings are found (ART=folder)
	$(BIN)/python benchmarks/leaks.py $(ART)

bench-study: $(READY) browser  ## the raters' page: keypress to next picture, and 9,024 ratings over websockets
	$(BIN)/python benchmarks/study.py

bench-train-step: $(READY)  ## the training step against the published one, on a GPU where there is one (ART=folder)
	$(BIN)/python benchmarks/train_step.py $(ART)

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(UV)      ## resolve requirements.lock anew (it names no host)
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra all --group dev \
	  --no-emit-package lacbench --upgrade pyproject.toml -o requirements.lock

clean:           ## take away what was built, not the art
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
