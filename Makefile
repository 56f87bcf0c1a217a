PYTHON ?= python3.11
BIN := .venv/bin
# tests/conftest.py says in which order.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-all lint docs bench clean

demo: .venv/installed
	$(BIN)/python examples/demo.py

test: .venv/installed
	$(PYTEST) -m "not slow"

test-all: .venv/installed
	$(PYTEST)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

docs: .venv/installed
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/examples.py

bench: $(patsubst benchmarks/%.py,bench-%,$(wildcard benchmarks/[a-z]*.py))

bench-%: .venv/installed
	$(BIN)/python benchmarks/$*.py

# uv installs the lock in a fraction of pip's time.
.venv/installed: requirements.lock pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/uv pip install --python $(BIN)/python -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
