#!/usr/bin/env bash
# Builds the images of this checkout and says what came out.
#
#   containers/build-image.sh [OUT]        OUT is dist/image
#
# OUT gets prometheus-quant.oci.tar (both targets), image.json (ids, digests, base), release.env (what a unit reads) and
# sbom.cdx.json. With Podman on this machine it builds here; without it, and as root, in the test host (tests/host).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/common.sh"
out=$(realpath -m "${1:-$here/../dist/image}")
work=$(mktemp -d /var/tmp/prometheus-quant-image.XXXXXX)
trap 'rm -rf "$work"' EXIT

"$here/context.sh" "$work/context"
if command -v podman >/dev/null; then
    "$here/podman-build.sh" "$work/context" "$work/built"
elif [ "$(id -u)" -eq 0 ]; then
    "$here/../tests/host/prerequisites.sh"
    python3 "$here/../tests/host/lab" build "$work/context" "$work/built"
else
    die "no Podman here" "sudo apt-get install podman, or run this as root: it then builds in the test host" 69
fi
cp "$work/context/build.env" "$work/built/"
python3 "$here/archive.py" "$work/built" "$work/out"
cp "$work/built/dpkg" "$work/built/python" "$work/out/"
python3 "$here/sbom.py" "$work/context" "$work/out" "$work/out/sbom.cdx.json"
rm "$work/out/dpkg" "$work/out/python"
mkdir -p "$out"
cp "$work/out"/* "$out/"
cat "$out/image.json"
