# Included by the Makefile.
#
#   make deb           the Debian package, reproducibly, into dist/deb
#   make verify-deb    build it twice, compare the bytes, and ask lintian

.PHONY: deb verify-deb

deb: $(STAMP)
	packaging/deb/build-deb.sh dist/deb

verify-deb: $(STAMP)
	packaging/deb/verify-deb.sh
