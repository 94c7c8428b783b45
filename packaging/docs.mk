# The documents as a site; included by the Makefile.
#
#   make docs        English and Chinese, with a search that needs no server: build/docs/index.html; the first time its
#                    environment is built, from a lock of its own (network, 230 MB on the disk)
#   make docs-links  ask every link that leaves the documents (network)

.PHONY: docs docs-environment docs-links

docs-environment: $(STAMP)
	$(BIN)/python packaging/docs/docs_environment.py build

docs: docs-environment
	packaging/docs/build.sh build/docs
	@echo build/docs/index.html

docs-links: docs-environment
	packaging/docs/build.sh build/docs-links linkcheck
