# Included by the Makefile.
#
#   make image         both container images, reproducibly, into dist/image
#   make verify-image  build them twice from nothing and compare every byte
#   make host-test     units, image and package on a real systemd with rootless Podman (needs root; boots in seconds)

.PHONY: image verify-image host-test

image:
	containers/build-image.sh dist/image

verify-image:
	containers/verify-image.sh dist/image

host-test: $(STAMP)
	tests/host/prerequisites.sh
	$(BIN)/pytest -p no:xdist tests/host
