# make lab    set up, then open the lab (without a terminal: the narrated demonstration)
# make test   everything that needs no Docker
# make e2e    what needs real clusters: Docker and kind
# make check  ruff, mypy --strict, import-linter
# make bench  the figures that are promised, as ratios
# make fuzz   hostile input, 100,000 times
# make dist   a wheel that carries the scenarios

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 3

# Every test that starts a process or a node would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: lab demo test e2e check bench fuzz dist format clean

lab: $(VENV)/.lab
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/cks-lab; else exec $(BIN)/cks-lab demo; fi

demo: $(VENV)/.lab
	@$(BIN)/cks-lab demo

test: $(VENV)/.dev
	@$(BIN)/python -m compileall -q lab checkers
	@$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

e2e: $(VENV)/.dev
	@tests/e2e/run.sh $(CURDIR)/$(BIN) $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.bench
	@$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(VENV)/.fuzz
	@$(BIN)/python -m tests.fuzz $(ARGS)

dist: $(VENV)/.dev
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@PYTHON='$(PYTHON)' sh ./venv.sh $(VENV)

$(VENV)/.lab: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing CKS Lab into $(VENV) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing CKS Lab and its tools into $(VENV) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.lab

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing what the figures are compared with into $(VENV) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

# Where atheris does not install, hypothesis throws alone.
$(VENV)/.fuzz: $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]' || \
		echo "atheris does not install here" >&2
	@touch $@
