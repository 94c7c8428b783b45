# Failures on purpose, for as long as it takes; `make test` does the same in short.
#
#   make torture 10 000 SIGKILLs, every call refused, every bit flipped, power cuts, traced calls, a soak
#   make soak    500 runs by one service process; RUNS=n for another number

.PHONY: torture soak strace

KILLS ?= 10000
RUNS ?= 500
FAULTS := $(BIN)/pytest -s -q -p no:cacheprovider

# Installed where we may; where we may not, the tests that need it say so and are skipped.
strace:
	@command -v strace >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y -q strace >/dev/null; } \
		|| echo "strace is not installed: the traced order of calls is not looked at"

torture: $(STAMP) strace
	PQ_KILLS=$(KILLS) PQ_EVERY_CALL=1 PQ_FLIP_MASKS=9 PQ_FLIP_OPENS=20000 PQ_POWER_CUTS=200 PQ_STRACE_TURNS=5 \
	PQ_SOAK_RUNS=$(RUNS) $(FAULTS) tests/integration/faults tests/torture

soak: $(STAMP)
	PQ_SOAK_RUNS=$(RUNS) $(FAULTS) tests/torture/test_soak.py
