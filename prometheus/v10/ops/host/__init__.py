"""The host: systemd, Podman, releases, stopping, status, doctor."""
