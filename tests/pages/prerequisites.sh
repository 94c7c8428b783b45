#!/usr/bin/env bash
# Installs what the tests of pages need on the machine that runs them: Debian's Chromium and a font for Chinese. Needs root.
#
#   tests/pages/prerequisites.sh            install what is missing
#   tests/pages/prerequisites.sh --check    only say what is missing; 1 when something is
set -euo pipefail

missing=()
[ -x /usr/bin/chromium ] || missing+=(chromium)
[ -d /usr/share/fonts/opentype/noto ] || missing+=(fonts-noto-cjk)

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
