# Two commands do everything on a fresh machine:
#   make demo   open the console on the built-in lab
#   make test   run ruff, mypy and the whole suite, headless
PYTHON ?=
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint types screenshots venv clean

demo: $(VENV)/.installed
	@sh scripts/demo.sh "$(BIN)"

test: $(VENV)/.test-installed
	@sh scripts/system-packages.sh
	@sh scripts/test.sh "$(BIN)"

venv: $(VENV)/.test-installed

$(VENV)/bin/python:
	@python=$$(sh scripts/find-python.sh "$(PYTHON)") && "$$python" -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test-installed
	$(BIN)/mypy

# The pictures in the README, taken from the running program; needs a screen of at least 1280×800.
screenshots: $(VENV)/.test-installed
	$(BIN)/python -m tests.ui.gallery --out artifacts/gallery
	cp artifacts/gallery/tab-general-vm-light-1x.png docs/screenshots/general-light.png
	cp artifacts/gallery/tab-monitor-vm-dark-1x.png docs/screenshots/monitor-dark.png
	cp artifacts/gallery/tab-snapshots-vm-light-1x.png docs/screenshots/snapshots-light.png

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .cache artifacts
