#!/usr/bin/env bash
# Installs what the tests of pages need on the machine that runs them: Debian's Chromium and a font for Chinese. Needs root.
#
#   tests/pages/prerequisites.sh            install what is missing
#   tests/pages/prerequisites.sh --check    only say what is missing; 1 when something is
set -euo pipefail

missing=()
[ -x /usr/bin/chromium ] || missing+=(chromium)
[ -d /usr/share/fonts/opentype/noto ] || missing+=(fonts-noto-cjk)

"$(dirname "$0")/../install-missing.sh" "${1:-}" ${missing[@]+"${missing[@]}"}
