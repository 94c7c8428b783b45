# Included by the Makefile.
#
#   make image         the container images, reproducibly, into dist/image
#   make verify-image  build them twice from nothing and compare every byte
#   make host-test     units, image and package on a real systemd with rootless Podman, every drill 20 times (needs root);
#                      PQ_CUT_SECONDS=600 takes the exchange's network away for ten minutes instead of ten seconds
#   make host-test-limits  limits of memory, tasks and disk, and a stepped clock, in a virtual machine (needs root)

.PHONY: image image-tools verify-image host-test host-test-limits

HOST_REPEATS ?= 20

# Set-up and the package take minutes: what an image needs and is not here is installed, or said, before them.
ifneq ($(filter image verify-image,$(MAKECMDGOALS)),)
$(STAMP) deb: | image-tools
endif

image-tools:
	@containers/build-image.sh --prepare

image: image-tools
	containers/build-image.sh dist/image

verify-image: image-tools
	containers/verify-image.sh dist/image

host-test: $(STAMP)
	tests/host/prerequisites.sh
	PQ_HOST_REPEATS=$(HOST_REPEATS) $(BIN)/pytest -p no:xdist tests/host

host-test-limits: $(STAMP)
	tests/host/prerequisites.sh
	PQ_HOST_LIMITS=1 $(BIN)/pytest -p no:xdist tests/host/test_limits.py
