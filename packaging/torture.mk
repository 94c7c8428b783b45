# Failures on purpose, for as long as it takes; `make test` does the same in short.
#
#   make torture 10 000 SIGKILLs, every bit flipped, power cuts, traced calls, a soak, an hour of hostile bytes
#   make soak    500 runs by one service process; RUNS=n for another number
#   make history an audit of 1 000 runs and 1 GB of pools, as one service wrote them
#   make exchange-torture  500 random pairs of the venue's faults, 1 000 kills of a session between any two lines

# Inputs that reach a new place of a parser are added to tests/fuzz/corpus, within a few kB a target: commit them.
.PHONY: torture soak history exchange-torture

KILLS ?= 10000
RUNS ?= 500
FUZZ_SECONDS ?= 3600
FORGERIES ?= 10000
HISTORY ?= 1000
PAIRS ?= 500
SESSION_KILLS ?= 1000
FAULTS := $(BIN)/pytest -q -p no:cacheprovider

torture: $(STAMP)
	PQ_DRILLS=1 PQ_KILLS=$(KILLS) PQ_CALLS=1000000 PQ_FLIP_MASKS=9 PQ_FLIP_OPENS=20000 PQ_POWER_CUTS=200 PQ_STRACE_TURNS=5 \
	PQ_SOAK_RUNS=$(RUNS) PQ_FUZZ_SECONDS=$(FUZZ_SECONDS) PQ_FUZZ_KEEP=1 \
	PQ_STRANGER_RUNS=300 PQ_FORGERIES=$(FORGERIES) PQ_HONEST=$(RUNS) PQ_HISTORY_RUNS=$(HISTORY) PQ_LIFE_ACTS=$(RUNS) \
	PQ_TEST_KILLS=200 PQ_TEST_SIGTERM=100 PQ_TEST_STOP=100 PQ_TEST_ERA_KILLS=200 \
	$(FAULTS) tests/integration/faults tests/torture tests/forger tests/fuzz \
	tests/integration/test_service_stop.py tests/integration/test_era_service.py tests/pages/test_a_stranger_asks.py

soak: $(STAMP)
	PQ_SOAK_RUNS=$(RUNS) $(FAULTS) tests/torture/test_soak.py

history: $(STAMP)
	PQ_HISTORY_RUNS=$(HISTORY) $(FAULTS) tests/torture/test_history.py

exchange-torture: $(STAMP)
	PQ_FAULT_PAIRS=$(PAIRS) PQ_SESSION_KILLS=$(SESSION_KILLS) \
	$(FAULTS) tests/execution/test_disturbed_bars.py tests/execution/test_killed_sessions.py

# A whole set-up into a new environment, whose downloads are all held to hashes (network, two minutes).
.PHONY: setup-test
setup-test: $(STAMP)
	PQ_SETUP_TEST=1 $(BIN)/pytest -p no:xdist -q tests/torture/test_set_up.py
