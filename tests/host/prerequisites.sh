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

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "${1:-}" = --check ]; then
    printf 'missing: %s\n' "${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    printf 'please run: sudo apt-get install %s\n' "${missing[*]}" >&2
    exit 1
fi
quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends)
"${quiet[@]}" install "${missing[@]}" >/dev/null 2>&1 ||
    { "${quiet[@]}" update >/dev/null && "${quiet[@]}" install "${missing[@]}" >/dev/null; }
