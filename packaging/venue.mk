# What proves the venue from outside; included by the Makefile.
#
#   make venue-outsiders  python-okx, ccxt, NautilusTrader and freqtrade trade on the venue in a network namespace that has
#                         only the loopback (root), and 10 000 order streams against the reference matcher; the first time
#                         their environments are built, each from a lock of its own (network, 2 GB on the disk)
#   make venue-mutants    deliberate faults in the venue: each must be noticed by a client, an oracle or a rule's test

.PHONY: venue-outsiders venue-outsiders-build venue-mutants

OUTSIDERS := tests/venue/outsiders

venue-outsiders-build: $(STAMP)
	$(BIN)/python $(OUTSIDERS)/environments.py build

venue-outsiders: venue-outsiders-build
	$(BIN)/python $(OUTSIDERS)/run.py
	PQ_OUTSIDERS_ALL=1 PQ_ORDER_STREAMS=10000 $(BIN)/pytest -q -p no:cacheprovider -n 2 tests/venue/oracles

venue-mutants: venue-outsiders-build
	nice $(BIN)/python tests/venue/mutations/run.py
