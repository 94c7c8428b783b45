#!/usr/bin/env bash
# Builds the images of this checkout and says what came out.
#
#   containers/build-image.sh [--sign KEY] [--allow-unpinned-base] [OUT]        OUT is dist/image
#
# OUT gets prometheus-quant.oci.tar (every target), image.json (ids, digests, base), release.env (what a unit reads) and
# sbom.cdx.json. With Podman on this machine it builds here; without it, and as root, in the test host (tests/host).
# --prepare only installs (as root) or names what is missing.
#
# With --sign KEY, or PQ_SIGNING_KEY, it is a release: the archive is signed by that SSH key (prometheus-quant.oci.tar.sig).
# A release is refused when its base is not pinned by containers/base.env, unless --allow-unpinned-base is given, and when
# the checkout differs from its commit.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/common.sh"
key=${PQ_SIGNING_KEY:-} allow_unpinned=false prepare=false
while [ $# -gt 0 ]; do
    case $1 in
    --sign) [ $# -ge 2 ] || die "--sign needs a key's file" "" 64 && key=$2 && shift 2 ;;
    --prepare) prepare=true && shift ;;
    --allow-unpinned-base) allow_unpinned=true && shift ;;
    -*) die "unknown option $1" "build-image.sh [--sign KEY] [--allow-unpinned-base] [OUT]" 64 ;;
    *) break ;;
    esac
done
[ $# -le 1 ] || die "one argument at most: the directory to write to" "" 64
out=$(realpath -m "${1:-$here/../dist/image}")
# shellcheck source=containers/base.env
. "$here/base.env"
if [ -n "$key" ]; then
    [ -r "$key" ] || die "the signing key $key cannot be read" "name a private SSH key, or a public one of ssh-agent" 66
    if [ -z "$BASE_DIGEST$STAND_IN_DIGEST" ] && [ "$allow_unpinned" = false ]; then
        die "containers/base.env pins no base, and a release needs one" "containers/pin-base.sh, or --allow-unpinned-base" 78
    fi
    need_commands ssh-keygen:openssh-client
fi

# ---- what the build needs: installed, or said, before the minutes of work --------------------------------------------

need_commands python3:python3 git:git sha256sum:coreutils
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    missing=()
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    pkg-config --exists libsystemd 2>/dev/null || missing+=(libsystemd-dev)
    if [ ${#missing[@]} -gt 0 ]; then
        printf 'installing %s\n' "${missing[*]}" >&2
        quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends)
        "${quiet[@]}" install "${missing[@]}" >/dev/null 2>&1 ||
            { "${quiet[@]}" update >/dev/null && "${quiet[@]}" install "${missing[@]}" >/dev/null; } ||
            printf 'could not install %s; going on where a cached build needs none of them\n' "${missing[*]}" >&2
    fi
fi
if ! command -v podman >/dev/null; then
    [ "$(id -u)" -eq 0 ] ||
        die "no Podman here" "sudo apt-get install podman, or run this as root: it then builds in the test host" 69
    "$here/../tests/host/prerequisites.sh" ||
        die "the test host's packages could not be installed" "apt-get install systemd-container mmdebstrap util-linux" 69
fi
"$here/context.sh" --check || exit $?
[ "$prepare" = false ] || exit 0

work=$(mktemp -d /var/tmp/prometheus-quant-image.XXXXXX)
trap 'rm -rf "$work"' EXIT

"$here/context.sh" "$work/context"
[ -z "$key" ] || grep -qx 'GIT_DIRTY=false' "$work/context/build.env" ||
    die "the checkout differs from its commit, and a release does not" "commit or remove what git status shows" 65
if command -v podman >/dev/null; then
    "$here/podman-build.sh" "$work/context" "$work/built"
else
    python3 "$here/../tests/host/lab" build "$work/context" "$work/built"
fi
cp "$work/context/build.env" "$work/built/"
python3 "$here/archive.py" "$work/built" "$work/out"
cp "$work/built/dpkg" "$work/built/python" "$work/out/"
python3 "$here/sbom.py" "$work/context" "$work/out" "$work/out/sbom.cdx.json"
rm "$work/out/dpkg" "$work/out/python"
if [ -n "$key" ]; then
    ssh-keygen -q -Y sign -f "$key" -n prometheus-quant-release "$work/out/prometheus-quant.oci.tar" ||
        die "the archive could not be signed" "" 74
fi
mkdir -p "$out"
rm -f "$out/prometheus-quant.oci.tar.sig"
cp "$work/out"/* "$out/"
cat "$out/image.json"
