#!/usr/bin/env bash
# Builds the package twice, at two places and with other wheels directories, compares every byte, and asks lintian.
#
#   packaging/deb/verify-deb.sh        0 same bytes and no error of lintian's; 1 otherwise
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /var/tmp/prometheus-quant-verify-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT
one=$("$here/build-deb.sh" "$work/one")
two=$(umask 077 && cd / && "$here/build-deb.sh" "$work/two")
cmp "$one" "$two"
sha256sum "$one" | cut -d' ' -f1
if command -v lintian >/dev/null; then
    lintian --fail-on error --allow-root "$one"
else
    printf 'lintian is not here: not asked\n' >&2
fi
