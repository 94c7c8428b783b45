# The second library of the exchange world; included by the Makefile.
#
#   make ccxt        the environment .venv-ccxt: this project, its locked packages, and ccxt with what it pins, from a lock
#                    of its own (network, 500 MB on the disk)
#   make ccxt-test   every test of the exchange world again, through ccxt, five minutes
#   make align       the same intents through both libraries; what differs is appended to the log below docs/v10

.PHONY: ccxt ccxt-test align

CCXT := .venv-ccxt/bin

ccxt: $(STAMP)
	$(BIN)/python packaging/through_ccxt/ccxt_environment.py build

ccxt-test: ccxt
	PQ_LIBRARY=ccxt $(CCXT)/python -m pytest -q -p no:cacheprovider tests/execution

align: ccxt
	$(CCXT)/prometheus-quant execution align --root var
