#!/usr/bin/env bash
# Installs Debian packages that tests need on the machine that runs them. Needs root. Called by prerequisites.sh of rooms.
#
#   tests/install-missing.sh OPTION [PACKAGE ...]
#
# OPTION is --check to say only what is missing and end with 1, or empty to install it. Without a package nothing happens.
set -euo pipefail

option=$1
shift
if [ $# -eq 0 ]; then
    exit 0
fi
if [ "$option" = --check ]; then
    printf 'missing: %s\n' "$*" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    printf 'please run: sudo apt-get install %s\n' "$*" >&2
    exit 1
fi
quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends)
"${quiet[@]}" install "$@" >/dev/null 2>&1 ||
    { "${quiet[@]}" update >/dev/null && "${quiet[@]}" install "$@" >/dev/null; }
