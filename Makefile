# Every target does its own set-up; the second time that takes no time (.venv/.set-up is its stamp).
#
#   make run     evolve the demo profile over the built-in market into ./var, sealed and verifiable
#   make test    every test (linters are tests too)
#   make bench   how fast the world runs, beside two yardsticks

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format bench clean

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

# The deployment tests need root, a container tool chain and some minutes of building: they are `make host-test`.
test: $(STAMP)
	$(BIN)/pytest -n 2 --ignore tests/host

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
