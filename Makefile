# On a fresh machine with Python 3.11-3.13 and make, `make demo` and `make test` do everything, set-up included.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first Python that runs, has the right version and can make virtual environments: a name on PATH may be an empty
# shim (pyenv), and Debian packs venv apart.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
# Two workers: each holds a machine with its RAM.
WORKERS ?= 2

.PHONY: help
help:  ## list every target
	@awk -F ':.*## ' '/^[a-z][a-zA-Z_-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
	echo "rrdbg needs Python 3.11, 3.12 or 3.13 with its venv module; none was found on PATH." >&2; \
	echo "Debian, Ubuntu: apt-get install python3-venv. Elsewhere: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# an interrupted installation leaves no stamp and is done again
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing rrdbg into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "installing rrdbg and its development tools into $(VENV) (the Spike simulator alone is 209 MB)"
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed

.PHONY: setup
setup: $(VENV)/.installed  ## make a virtual environment and install rrdbg into it

.PHONY: dev
dev: $(VENV)/.installed-dev  ## the same with the tools of `check`, `test` and `bench`

.PHONY: demo
demo: $(VENV)/.installed  ## record a guest, replay it, verify it with pauses, export a slice, open the TUI
	@$(BIN)/rrdbg demo

.PHONY: test
test: $(VENV)/.installed-dev  ## the test suite (minutes)
	$(PYTEST) -n $(WORKERS) --dist loadfile -m 'not slow' --hypothesis-profile=same

.PHONY: test-slow
test-slow: $(VENV)/.installed-dev  ## the long tests: 20 million random instructions, 10,000 pauses (much longer)
	$(PYTEST) -m slow

.PHONY: check
check: $(VENV)/.installed-dev  ## lint, format, types, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.installed-dev  ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(VENV)/.installed-dev  ## speed beside QEMU, on pinned cores: make bench BENCH='kernels --runs 3' (docs/bench.md)
	$(BIN)/python -m tests.bench $(BENCH)

.PHONY: guests
guests:  ## rebuild the guests' ELFs (needs riscv64-unknown-elf-gcc)
	$(MAKE) -C guests all

.PHONY: linux
linux: $(VENV)/.installed  ## fetch Debian's kernel for RISC-V, record its boot to a shell, open it
	$(BIN)/python guests/linux/boot.py $(LINUX)

.PHONY: test-linux
test-linux: $(VENV)/.installed  ## record that boot, verify it and walk back through it; fails without a mirror
	$(BIN)/python guests/linux/boot.py --check $(LINUX)

.PHONY: traces
traces: $(VENV)/.installed-dev  ## record the golden traces of a new format or machine version
	$(BIN)/python -m tests.golden.make

.PHONY: clean
clean:  ## remove what was built
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
