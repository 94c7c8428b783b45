#!/usr/bin/env bash
# Installs what the test host needs on the machine that runs the tests: systemd-nspawn and mmdebstrap. Needs root.
#
#   tests/host/prerequisites.sh            install what is missing
#   tests/host/prerequisites.sh --check    only say what is missing; 1 when something is
set -euo pipefail

missing=()
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v nsenter >/dev/null || missing+=(util-linux)

"$(dirname "$0")/../install-missing.sh" "${1:-}" ${missing[@]+"${missing[@]}"}
