#!/usr/bin/env bash
# A stand-in for the base image where no registry can be reached: Debian 13's minimal tree and CPython 3.12 in /usr/local,
# laid out as in the official python:3.12-slim-trixie. The same mirror state gives the same bytes. Needs root, mmdebstrap.
#
#   containers/build-base.sh OUT.tar
set -euo pipefail
# shellcheck source=containers/common.sh
. "$(dirname "$0")/common.sh"
[ $# -eq 1 ] || die "one argument: the tar to write" "" 64
[ "$(id -u)" -eq 0 ] || die "needs root to make a Debian tree" "sudo $0 $1" 77
out=$(realpath -m "$1")
need_commands mmdebstrap:mmdebstrap
prefix=$(python_prefix)
tree=$(mktemp -d /var/tmp/prometheus-quant-base.XXXXXX)
trap 'rm -rf "$tree"' EXIT
export SOURCE_DATE_EPOCH=$FALLBACK_EPOCH

debian_tree "$tree/root" "$PYTHON_LIBRARIES"
copy_python "$prefix" "$tree/root"
chroot "$tree/root" ldconfig
chroot "$tree/root" /usr/local/bin/python3.12 -B -c 'import ssl, sqlite3, ctypes, lzma, bz2, zlib, readline, uuid, pip'
find "$tree/root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
tar -C "$tree/root" --sort=name --numeric-owner --exclude='./dev/*' --exclude=./var/cache/ldconfig/aux-cache -cf "$out" .
