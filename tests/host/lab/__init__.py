"""The test host: a throw-away Debian 13 with its own systemd and rootless Podman, under systemd-nspawn."""
