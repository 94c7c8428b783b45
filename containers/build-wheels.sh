#!/usr/bin/env bash
# Every locked package of the images as a wheel, and a requirements.txt that holds each wheel to its hash.
#
#   containers/build-wheels.sh OUTDIR    makes OUTDIR/wheels/, OUTDIR/requirements.txt, and OUTDIR/desk-wheels/, which
#                                        holds what the desk has more than a stage
#
# What is downloaded is held to the hashes of poetry.lock. Two packages exist as source only; they are built, without
# network and with fixed flags, in a throw-away Debian 13 tree, so that two builds give the same bytes. Needs root,
# mmdebstrap, libsystemd-dev, and a CPython 3.12 to build with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/common.sh"
[ $# -eq 1 ] || die "one argument: the directory to write to" "" 64
[ "$(id -u)" -eq 0 ] || die "needs root to make a Debian tree" "sudo $0 $1" 77
out=$(realpath -m "$1")
need_commands mmdebstrap:mmdebstrap pkg-config:pkg-config
prefix=$(python_prefix)
umask 022 # a wheel holds the modes of what set-up writes on the way
work=$(mktemp -d /var/tmp/prometheus-quant-wheels.XXXXXX)
trap 'rm -rf "$work"' EXIT
readonly SOURCE_ONLY=(systemd-python sdnotify)

mkdir -p "$work/got" "$work/desk" "$work/source" "$work/root" "$out"
"$prefix/bin/python3.12" "$here/../packaging/requirements.py" "${STAGE_EXTRAS[@]}" >"$work/locked.txt"
"$prefix/bin/python3.12" "$here/../packaging/requirements.py" "${STAGE_EXTRAS[@]}" "${DESK_EXTRAS[@]}" \
    --beyond "$work/locked.txt" >"$work/desk-locked.txt"
"$prefix/bin/python3.12" -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    -d "$work/source" -r "$here/build-requirements.txt" || die "the build tools could not be downloaded" "" 69

# To download a source package pip asks its set-up for its name, and that set-up asks pkg-config for libsystemd.
pkg-config --exists libsystemd || die "pkg-config does not know libsystemd" "apt-get install libsystemd-dev pkg-config" 69
"$prefix/bin/python3.12" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip)
"${pip[@]}" install -q --disable-pip-version-check --no-index --no-deps "$work/source"/*.whl
only_source=$(
    IFS=,
    printf '%s' "${SOURCE_ONLY[*]}"
)
"${pip[@]}" download -q --disable-pip-version-check --no-deps --require-hashes --no-build-isolation \
    --only-binary=:all: --no-binary="$only_source" -d "$work/got" -r "$work/locked.txt" ||
    die "the locked packages could not be downloaded" "" 69
"${pip[@]}" download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    -d "$work/desk" -r "$work/desk-locked.txt" || die "the desk's packages could not be downloaded" "" 69
mv "$work/got"/*.tar.gz "$work/source/"

debian_tree "$work/root" "$PYTHON_LIBRARIES,gcc,libc6-dev,libsystemd-dev,pkg-config"
copy_python "$prefix" "$work/root"
mkdir -p "$work/root/usr/local/include" "$work/root/w"
cp -a "$prefix/include/python3.12" "$work/root/usr/local/include/"
cp "$work/source"/* "$work/root/w/"
chroot "$work/root" ldconfig
# -g0: pip builds in a directory of random name, which debug information would hold.
chroot "$work/root" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root CFLAGS=-g0 SOURCE_DATE_EPOCH="$FALLBACK_EPOCH" \
    PYTHONHASHSEED=0 sh -c 'python3.12 -m pip install -q --no-index --no-deps --root-user-action=ignore /w/*.whl &&
        python3.12 -m pip wheel -q --no-index --no-deps --no-build-isolation -w /built /w/*.tar.gz'

rm -rf "$out/wheels" "$out/desk-wheels"
mkdir "$out/wheels"
cp -r "$work/desk" "$out/desk-wheels"
cp "$work/got"/*.whl "$work/root/built"/*.whl "$out/wheels/"
cd "$out/wheels"
for wheel in *.whl; do
    name=${wheel%%-*} rest=${wheel#*-}
    printf '%s==%s --hash=sha256:%s\n' "${name//_/-}" "${rest%%-*}" "$(sha256sum "$wheel" | cut -d' ' -f1)"
done | LC_ALL=C sort >../requirements.txt
