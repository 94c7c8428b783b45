#!/usr/bin/env bash
# Makes the directory that an image is built from. The same commit gives the same bytes, modes and times.
#
#   containers/context.sh OUT       makes OUT/, which must not exist
#   containers/context.sh --check   only says whether everything that it needs is here
#
# A clean checkout gives the files of its commit; a checkout with changes, or without a commit, gives its files as they
# are, and the image says so (git_dirty). Wheels and the stand-in base are kept between builds under $PQ_BUILD_CACHE
# (/var/tmp/prometheus-quant-build), by a hash of what they are made from. No other user can write there, and what is
# found there is hashed again before it is used: wheels against poetry.lock, the base against its recorded digest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/common.sh"
# shellcheck source=containers/base.env
. "$here/base.env"
[ $# -eq 1 ] || die "one argument: the directory to make, or --check" "" 64
[ ! -e "$1" ] || die "$1 exists" "name a directory that does not" 64
[ "$1" = --check ] || out=$(realpath -m "$1")
cd "$here/.."
need_commands python3:python3 git:git sha256sum:coreutils
umask 022
cache=$(build_cache) || exit $?
work=$(mktemp -d /var/tmp/prometheus-quant-context.XXXXXX)
trap 'rm -rf "$work"' EXIT

# ---- what stays the same between builds ------------------------------------------------------------------------------

# $1 kind, the rest: files that decide it. Prints the place; the caller makes it when it is not there.
kept() {
    local kind=$1 hash
    shift
    hash=$(cat "$@" | sha256sum | cut -c1-16)
    printf '%s/%s-%s\n' "$cache" "$kind" "$hash"
}

wheels=$(kept wheels-3 poetry.lock containers/build-requirements.txt containers/build-wheels.sh containers/common.sh)
base=$(kept base-2 containers/build-base.sh containers/common.sh).tar
if [ ! -d "$wheels" ] || { [ -z "$BASE_DIGEST" ] && { [ ! -f "$base" ] || [ ! -f "$base.sha256" ]; }; }; then
    need_commands mmdebstrap:mmdebstrap pkg-config:pkg-config
    pkg-config --exists libsystemd || die "pkg-config does not know libsystemd" "apt-get install libsystemd-dev" 69
    [ "$(id -u)" -eq 0 ] || die "wheels and base are made as root the first time" "repeat it with sudo" 77
    python_prefix >/dev/null
fi
[ "$1" != --check ] || exit 0
if [ ! -d "$wheels" ]; then
    rm -rf "$wheels.part"
    containers/build-wheels.sh "$wheels.part" >&2
    mv -T "$wheels.part" "$wheels"
fi
python3 -IB packaging/requirements.py "${STAGE_EXTRAS[@]}" >"$work/locked.txt"
python3 -IB packaging/requirements.py "${STAGE_EXTRAS[@]}" "${DESK_EXTRAS[@]}" --beyond "$work/locked.txt" >"$work/desk-locked.txt"
built=()
for name in systemd-python sdnotify; do
    built+=(--built "$name=$wheels/requirements.txt")
done
mkdir -p "$out"
cp -r "$wheels/wheels" "$wheels/desk-wheels" "$out/"
python3 -IB containers/check_wheels.py "$out/wheels" "$work/locked.txt" "${built[@]}" >"$out/requirements.txt" || exit $?
python3 -IB containers/check_wheels.py "$out/desk-wheels" "$work/desk-locked.txt" >"$out/desk-requirements.txt" || exit $?

base_kind=registry base_digest=$BASE_DIGEST base_pinned=true
if [ -z "$BASE_DIGEST" ]; then
    if [ ! -f "$base" ] || [ ! -f "$base.sha256" ]; then
        containers/build-base.sh "$base.part" >&2
        sha256sum "$base.part" | cut -d' ' -f1 >"$base.sha256"
        mv -T "$base.part" "$base"
    fi
    cp "$base" "$out/base.tar"
    base_digest=sha256:$(sha256sum "$out/base.tar" | cut -d' ' -f1) base_kind=stand-in
    [ "$base_digest" = "sha256:$(cat "$base.sha256")" ] ||
        die "$base is not what was built: it has $base_digest" "remove $base and build again" 65
    if [ -z "${STAND_IN_DIGEST:-}" ]; then
        base_pinned=false
    elif [ "$base_digest" != "$STAND_IN_DIGEST" ]; then
        die "the stand-in base is $base_digest, and base.env pins $STAND_IN_DIGEST" \
            "build on the same Debian mirror state, or review and commit the new digest" 65
    fi
fi

# ---- the sources -----------------------------------------------------------------------------------------------------

commit='' dirty=true epoch=$FALLBACK_EPOCH
take_sources "$out" prometheus
rm -r "$out/prometheus/venue" # no part of what a stage runs
cp containers/Containerfile containers/warm_cache.py "$out/"

created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
source=$(git_here remote get-url origin 2>/dev/null | sed 's|//[^/@]*@|//|' || true)
commit_json=null
[ -z "$commit" ] || commit_json="\"$commit\""
cat >"$out/_build.json" <<JSON
{
  "git_commit": $commit_json,
  "git_dirty": $dirty,
  "base_digest": "$base_digest",
  "base_pinned": $base_pinned,
  "source_date": "$created"
}
JSON
printf 'EPOCH=%s\nCREATED=%s\nGIT_COMMIT=%s\nGIT_DIRTY=%s\nSOURCE=%q\nBASE_TAG=%s\nBASE_DIGEST=%s\nBASE_KIND=%s\nBASE_SHA256=%s\nBASE_PINNED=%s\n' \
    "$epoch" "$created" "$commit" "$dirty" "$source" "$BASE_TAG" "$BASE_DIGEST" \
    "$base_kind" "$base_digest" "$base_pinned" >"$out/build.env"
# A build hashes modes, and times of what it mounts; neither may depend on this machine.
chmod -R u=rwX,go=rX "$out"
find "$out" -name base.tar -prune -o -exec touch -h -d "@$epoch" {} +
