# photodb: everything in one environment of its own, .venv. Needs only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.photodb-ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export MPLBACKEND := Agg
# The tests that use a database; those marked slow run on the embedded one only.
EXTERNAL_TESTS ?= tests/storage tests/steps tests/cli tests/real

.PHONY: demo test test-python test-external bench lint format clean
.DEFAULT_GOAL := demo

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "photodb needs Python 3.11 or later; this is %d.%d: make PYTHON=python3.12" % v[:2])'
	@echo "making the environment in $(VENV): a minute or two"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@$(PIP) --upgrade pip
	@PYTHONWARNINGS=ignore $(PIP) --editable '.[test]' build 'setuptools>=77' wheel
	@touch $@

demo: $(READY)  ## simulate two telescopes, run the whole chain, compare with the truth
	$(BIN)/photodb demo
	@echo "(photodb is $(CURDIR)/$(BIN)/photodb)"

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p photodb -p cli -p migrations

test: lint test-python  ## everything that a change must pass

test-python: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

test-external: $(READY)  ## the parts that use a database, on a PostgreSQL found on this machine
	bash tests/with_external_postgresql.sh $(BIN)/python -m pytest -n 2 --dist worksteal -q -m 'not slow' $(EXTERNAL_TESTS)

bench: $(READY)  ## what is timed, apart from the tests
	$(BIN)/python -m benchmarks

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info photodb-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
