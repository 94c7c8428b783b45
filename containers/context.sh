#!/usr/bin/env bash
# Makes the directory that an image is built from. The same commit gives the same bytes, modes and times.
#
#   containers/context.sh OUT       makes OUT/, which must not exist
#
# A clean checkout gives the files of its commit; a checkout with changes, or without a commit, gives its files as they
# are, and the image says so (git_dirty). Wheels and the stand-in base are kept between builds under $PQ_BUILD_CACHE
# (/var/tmp/prometheus-quant-build), by a hash of what they are made from; without it both are made anew.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/common.sh"
# shellcheck source=containers/base.env
. "$here/base.env"
[ $# -eq 1 ] || die "one argument: the directory to make" "" 64
[ ! -e "$1" ] || die "$1 exists" "name a directory that does not" 64
out=$(realpath -m "$1")
cache=${PQ_BUILD_CACHE:-/var/tmp/prometheus-quant-build}
cd "$here/.."

# ---- what stays the same between builds ------------------------------------------------------------------------------

# $1 kind, the rest: files that decide it. Prints the place; the caller makes it when it is not there.
kept() {
    local kind=$1 hash
    shift
    hash=$(cat "$@" | sha256sum | cut -c1-16)
    printf '%s/%s-%s\n' "$cache" "$kind" "$hash"
}

wheels=$(kept wheels poetry.lock containers/build-requirements.txt containers/build-wheels.sh containers/common.sh)
if [ ! -d "$wheels" ]; then
    mkdir -p "$cache"
    rm -rf "$wheels.part"
    containers/build-wheels.sh "$wheels.part" >&2
    mv -T "$wheels.part" "$wheels"
fi
if [ -z "$BASE_DIGEST" ]; then
    base=$(kept base containers/build-base.sh containers/common.sh).tar
    if [ ! -f "$base" ]; then
        containers/build-base.sh "$base.part" >&2
        mv -T "$base.part" "$base"
    fi
fi

# ---- the sources -----------------------------------------------------------------------------------------------------

mkdir -p "$out"
commit='' dirty=true epoch=$FALLBACK_EPOCH
if commit=$(git rev-parse -q --verify HEAD 2>/dev/null); then
    epoch=$(git log -1 --format=%ct)
    [ -n "$(git status --porcelain)" ] || dirty=false
else
    commit=''
fi
if [ "$dirty" = false ]; then
    git archive HEAD prometheus | tar -C "$out" -xf -
else
    git ls-files -z --cached --others --exclude-standard prometheus | xargs -0r cp --parents -t "$out" --
fi
cp containers/Containerfile containers/warm_cache.py "$out/"
cp -r "$wheels/wheels" "$wheels/requirements.txt" "$out/"
[ -n "$BASE_DIGEST" ] || ln "$base" "$out/base.tar" 2>/dev/null || cp "$base" "$out/base.tar"

created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
source=$(git remote get-url origin 2>/dev/null | sed 's|//[^/@]*@|//|' || true)
commit_json=null
[ -z "$commit" ] || commit_json="\"$commit\""
cat >"$out/_build.json" <<JSON
{
  "git_commit": $commit_json,
  "git_dirty": $dirty,
  "source_date": "$created"
}
JSON
printf 'EPOCH=%s\nCREATED=%s\nGIT_COMMIT=%s\nGIT_DIRTY=%s\nSOURCE=%q\nBASE_TAG=%s\nBASE_DIGEST=%s\n' \
    "$epoch" "$created" "$commit" "$dirty" "$source" "$BASE_TAG" "$BASE_DIGEST" >"$out/build.env"
# A build hashes modes, and times of what it mounts; neither may depend on this machine.
chmod -R u=rwX,go=rX "$out"
find "$out" -name base.tar -prune -o -exec touch -h -d "@$epoch" {} +
