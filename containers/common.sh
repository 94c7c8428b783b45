# shellcheck shell=bash disable=SC2034
# What the build scripts share: one date, one way to complain, one way to find CPython.

# Everything that is dated in a base, a wheel or an image carries this, so that no build knows when it ran.
# 2026-01-01T00:00:00Z until the sources have a commit, then the commit's own time.
readonly FALLBACK_EPOCH=1767225600

# A caller's GIT_DIR, GIT_INDEX_FILE or GIT_CONFIG_* would speak for another repository.
for variable in "${!GIT_@}"; do
    unset "$variable"
done

# What the images have beside the package's own needs, as extras of pyproject.toml; the desk has more than a stage.
readonly STAGE_EXTRAS=(--extra journal --extra pages --extra exchange)
readonly DESK_EXTRAS=(--extra analysis --extra arrow)

die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit "${3:-1}"
}

# The prefix of a CPython 3.12 with a shared libpython: $PYTHON_PREFIX, else the newest that pyenv has.
python_prefix() {
    local prefix=${PYTHON_PREFIX:-}
    if [ -z "$prefix" ]; then
        prefix=$(find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -maxdepth 1 -name '3.12.*' 2>/dev/null | sort -V | tail -n 1)
    fi
    [ -x "$prefix/bin/python3.12" ] || die "no CPython 3.12 to put into the stand-in base" \
        "pyenv install 3.12, or set PYTHON_PREFIX" 69
    printf '%s\n' "$prefix"
}

# CPython, without what a running image never uses, from prefix $1 to /usr/local of the tree $2.
copy_python() {
    local from=$1 to=$2/usr/local
    mkdir -p "$to/bin" "$to/lib"
    cp -a "$from/bin/python3.12" "$to/bin/"
    ln -sf python3.12 "$to/bin/python3"
    ln -sf python3 "$to/bin/python"
    cp -a "$from/lib/libpython3.12.so.1.0" "$to/lib/"
    ln -sf libpython3.12.so.1.0 "$to/lib/libpython3.12.so"
    tar -C "$from/lib" -cf - --exclude='*.pth' --exclude=__pycache__ --exclude='*.a' --exclude=python3.12/test \
        --exclude=python3.12/idlelib --exclude=python3.12/tkinter --exclude=python3.12/turtledemo \
        --exclude=python3.12/lib2to3 --exclude='python3.12/site-packages/*' python3.12 | tar -C "$to/lib" -xf -
    mkdir -p "$to/lib/python3.12/site-packages"
    cp -a "$from"/lib/python3.12/site-packages/pip "$from"/lib/python3.12/site-packages/pip-*.dist-info \
        "$to/lib/python3.12/site-packages/"
    find "$to" -type d -name __pycache__ -prune -exec rm -rf {} +
}

# A minimal Debian 13 tree in $1 with the packages $2 (comma separated).
debian_tree() {
    # shellcheck disable=SC2016  # mmdebstrap's shell expands $1
    mmdebstrap --quiet --variant=minbase --aptopt='Apt::Install-Recommends "false"' --include="$2" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/* "$1"/etc/resolv.conf "$1"/etc/hostname' \
        trixie "$1"
}

# Libraries that CPython's extension modules want.
readonly PYTHON_LIBRARIES=ca-certificates,tzdata,libssl3t64,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libexpat1,libuuid1,libncursesw6,libreadline8t64,libsystemd0,netbase

# git about this checkout ($PWD), without what a repository may configure to be run.
git_here() {
    git --no-replace-objects -c core.fsmonitor=false -c core.hooksPath=/dev/null -c "safe.directory=$PWD" "$@"
}

# Copies files and directories of this checkout ($PWD) into $1 and sets commit, dirty and epoch by what was copied.
take_sources() {
    local said
    said=$(python3 -IB containers/source_state.py . "$@") || die "the sources could not be copied" "" 74
    commit=$(sed -n 's/^commit=//p' <<<"$said")
    dirty=$(sed -n 's/^dirty=//p' <<<"$said")
    epoch=$FALLBACK_EPOCH
    [ -z "$commit" ] || epoch=$(git_here show -s --no-show-signature --format=%ct "$commit")
}

# The build cache: $PQ_BUILD_CACHE, else one place in /var/tmp; only where no other user can put anything into it.
build_cache() {
    python3 -IB "$(dirname "${BASH_SOURCE[0]}")/private_dir.py" "${PQ_BUILD_CACHE:-/var/tmp/prometheus-quant-build}"
}

# Every command a build needs, asked for before anything is made: command:Debian-package pairs.
need_commands() {
    local pair missing=() packages=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || { missing+=("${pair%%:*}") packages+=("${pair#*:}"); }
    done
    [ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]}" "apt-get install ${packages[*]}" 69
}
