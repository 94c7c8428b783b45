# Every target does its own set-up; the second time that takes no time (.venv/.set-up is its stamp).
#
#   make run     evolve the demo profile over the built-in market into ./var, sealed and verifiable
#   make test    every test, failures on purpose among them, in some minutes (linters are tests too)
#   make faults  of these, full disks, torn files, kill -9, flipped bits: every failure on purpose
#   make bench   how fast the world runs, beside two yardsticks

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run test faults lint format bench clean

BIN := .venv/bin
STAMP := .venv/.set-up
BENCH_STAMP := .venv/.set-up-bench
SET_UP := packaging/setup.sh packaging/requirements.py pyproject.toml poetry.lock

help:
	@sed -n 's/^#   //p' Makefile

$(STAMP): $(SET_UP)
	packaging/setup.sh
	@touch $@

$(BENCH_STAMP): $(STAMP)
	packaging/setup.sh bench
	@touch $@

setup: $(STAMP)

run: $(STAMP)
	$(BIN)/prometheus-quant run --root var

# Two suites are apart: `make torture` (failures on purpose, for as long as it takes), of which only the order of system
# calls is looked at here, and `make host-test` (a real systemd with rootless Podman, as root).
test: $(STAMP)
	$(BIN)/pytest -n 2 --ignore tests/host --ignore tests/torture/test_soak.py

faults: $(STAMP)
	$(BIN)/pytest -n 2 tests/integration/faults

lint: $(STAMP)
	$(BIN)/pytest -q tests/test_linters.py tests/test_repository.py

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(BENCH_STAMP)
	$(BIN)/prometheus-quant bench --root var

# Never ./var: evidence is not ours to remove.
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

-include containers/targets.mk packaging/torture.mk packaging/deb.mk
