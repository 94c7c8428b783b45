#!/usr/bin/env bash
# Builds the images twice, from nothing, at different times, in different places and under different names of users'
# directories, and compares: the same commit must give the same image ids and the same archive, byte for byte.
#
#   containers/verify-image.sh [OUT]       leaves the second build in OUT (dist/image); takes some minutes
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/common.sh"
out=$(realpath -m "${1:-$here/../dist/image}")
work=$(mktemp -d /var/tmp/prometheus-quant-verify.XXXXXX)
trap 'rm -rf "$work"' EXIT

for turn in first a/second/place; do
    mkdir -p "$work/$turn"
    # wheels and base too are made anew: their cache is this turn's own
    (umask "$([ "$turn" = first ] && echo 022 || echo 077)" && PQ_BUILD_CACHE="$work/$turn/cache" \
        TMPDIR="$work/$turn" "$here/build-image.sh" "$work/$turn/image" >/dev/null)
    rm -rf "$work/$turn/cache"
    [ "$turn" != first ] || sleep 2
done
if ! cmp "$work/first/image/image.json" "$work/a/second/place/image/image.json"; then
    diff -u "$work/first/image/image.json" "$work/a/second/place/image/image.json" >&2 || true
    die "two builds of the same sources differ" "compare the layers of both archives"
fi
cmp "$work/first/image/sbom.cdx.json" "$work/a/second/place/image/sbom.cdx.json"
mkdir -p "$out"
cp "$work/a/second/place/image"/* "$out/"
printf 'twice the same: %s\n' "$(sed -n 's/.*"reference": "\(.*\)".*/\1/p' "$out/image.json" | tr '\n' ' ')"
