# Every target does its own set-up; the second time that takes no time (.venv/.set-up is its stamp).
#
#   make run     evolve eight eras over the built-in market into ./var, sealed and verifiable, and show what was gained
#   make run-demo  let a population trade a day through one account on our own exchange, seal the run, and verify it
#   make ladder  drill the C ladder and Gate 4 on our own exchange, and judge what the sessions left, some five minutes
#   make test    the tests, failures on purpose and (as root) a real host among them
#   make drills  the same with every case of what takes its time, without a host
#   make coverage  of these all but the host's, and by room the share of branches that they took
#   make faults  of these, full disks, torn files, kill -9, flipped bits: every failure on purpose
#   make mutants mutation tests: the worked examples against wrong versions of the physics, a few minutes
#   make lint    linters, types of package and tests, words, documents, helps: under a minute
#   make matrix  the unit tests under each of Python 3.11, 3.12 and 3.13 that this machine has
#   make test-bits  the golden digest of the world on aarch64, by qemu's user emulation, six minutes
#   make venue-outsiders  clients of others trade on the venue over the loopback alone (root), and say whether it fits them
#   make venue-mutants  deliberate faults in the venue: each must be noticed
#   make ccxt    the environment in which sessions go through ccxt, the second library of the exchange world
#   make docs    the documents as a site, English and Chinese, with a search that needs no server, into build/docs
#   make bench   how fast the world runs, beside two yardsticks

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run run-demo ladder test drills coverage faults mutants lint matrix test-bits format bench clean

BIN := .venv/bin
STAMP := .venv/.set-up
BENCH_STAMP := .venv/.set-up-bench
SET_UP := packaging/setup.sh packaging/requirements.py packaging/build-requirements.txt pyproject.toml poetry.lock

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
	$(BIN)/prometheus-quant run --root var --eras 8
	$(BIN)/prometheus-quant progress --root var

run-demo: $(STAMP)
	$(BIN)/prometheus-quant demo --root var

ladder: $(STAMP)
	$(BIN)/prometheus-quant execution ladder --root var

# The host (a real systemd with rootless Podman) comes second and alone: it promises seconds. Where it cannot run, its
# tests are skipped and say why. `make drills`, `make torture` and `make host-test` do the same for as long as it takes.
test: $(STAMP)
	tests/prerequisites.sh $(BIN)/python
	$(BIN)/pytest -n 2 --ignore tests/host --ignore tests/torture/test_soak.py
	$(BIN)/pytest -p no:xdist tests/host

# What `make test` leaves out or takes a part of; still without a host.
drills: $(STAMP)
	tests/prerequisites.sh $(BIN)/python
	PQ_DRILLS=1 $(BIN)/pytest -n 2 --ignore tests/host --ignore tests/torture/test_soak.py

# All tests but those of a host, and by room which branches of the package they took. A tenth more of the processor's time
# than without (measured over tests of evidence), so `make test` does without.
coverage: $(STAMP)
	$(BIN)/python tests/branches/run.py $(BIN)/pytest -n 2 --ignore tests/host --ignore tests/torture/test_soak.py

faults: $(STAMP)
	PQ_DRILLS=1 $(BIN)/pytest -n 2 tests/integration/faults

mutants: $(STAMP)
	nice $(BIN)/python tests/mutants/run.py

lint: $(STAMP)
	$(BIN)/pytest -q tests/test_*.py

# Every Python that this machine has; of those it has not, it says so. MATRIX names other tests than the unit tests.
matrix: $(STAMP)
	packaging/matrix.sh $(MATRIX)

test-bits: $(STAMP)
	$(BIN)/python tests/bits/run.py

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(BENCH_STAMP)
	$(BIN)/python -m bench --root var

# Never ./var: evidence is not ours to remove.
clean:
	rm -rf .venv .venv-ccxt .venv-docs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

-include containers/targets.mk packaging/torture.mk packaging/deb.mk packaging/venue.mk packaging/ccxt.mk packaging/docs.mk
