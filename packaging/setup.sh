#!/usr/bin/env bash
# Makes .venv/ in the checkout: the locked packages, each held to its hash, and this project in place.
#
#   packaging/setup.sh          everything that run, test and lint need
#   packaging/setup.sh bench    that, and what the benchmark compares itself with
#
# A second run changes nothing and is quick. Where this user may (root), missing Debian packages are installed;
# elsewhere the one command that would do it is printed, and set-up goes on wherever it can.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=${PQ_VENV:-.venv}
unset PYTHONPATH PIP_REQUIRE_HASHES
umask 022
readonly VERSIONS="3.12 3.13 3.11" # 3.12 is the version of the container image

say() { printf 'set-up: %s\n' "$*" >&2; }
die() {
    say "$1"
    [ -z "${2:-}" ] || say "  $2"
    exit 1
}

# ---- Debian packages -------------------------------------------------------------------------------------------------

apt_here() { command -v apt-get >/dev/null 2>&1; }

# Installs packages where that is possible; otherwise says how, and fails.
apt_install() {
    if ! apt_here; then
        say "please install what Debian calls: $*"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say "please run: sudo apt-get install $*"
        return 1
    fi
    say "installing $*"
    local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends)
    "${quiet[@]}" install "$@" >/dev/null 2>&1 ||
        { "${quiet[@]}" update >/dev/null && "${quiet[@]}" install "$@" >/dev/null; }
}

# Packages of those named (command:package) whose command is missing.
missing_tools() {
    local pair
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair#*:}"
    done
}

# ---- Python ----------------------------------------------------------------------------------------------------------

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}

can_make_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Every interpreter worth trying, best first. One that is a shim for an inactive version fails when tried.
interpreters() {
    local version
    for version in $VERSIONS; do
        type -ap "python$version" || true
        ls -d "$HOME/.pyenv/versions/$version".*/bin/"python$version" 2>/dev/null || true
    done
    type -ap python3 || true
}

find_python() {
    local candidate without_venv=""
    while read -r candidate; do
        supported "$candidate" || continue
        if can_make_venv "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
        without_venv=${without_venv:-$candidate}
    done < <(interpreters)
    printf '%s\n' "$without_venv"
    return 1
}

python_or_die() {
    local python
    if python=$(find_python); then
        printf '%s\n' "$python"
        return 0
    fi
    apt_install python3 python3-venv || true
    python=$(find_python) || die "no Python from 3.11 to 3.13 that can make a virtual environment was found" \
        "install one, for example: sudo apt-get install python3 python3-venv"
    printf '%s\n' "$python"
}

make_venv() {
    if [ -x "$VENV/bin/python" ] && supported "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    local python
    python=$(python_or_die)
    say "making $VENV with $("$python" --version) "
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
}

# ---- the journal, a C extension --------------------------------------------------------------------------------------

has_headers() {
    "$VENV/bin/python" -c \
        'import pathlib, sys, sysconfig; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())'
}

journal_builds() {
    command -v gcc >/dev/null 2>&1 && pkg-config --exists libsystemd 2>/dev/null && has_headers
}

journal_wanted() {
    "$VENV/bin/python" -c 'import systemd.journal' >/dev/null 2>&1 && return 0
    journal_builds && return 0
    local packages=(libsystemd-dev pkg-config gcc libc6-dev)
    has_headers || packages+=(python3-dev)
    apt_install "${packages[@]}" && journal_builds
}

# ---- packages --------------------------------------------------------------------------------------------------------

install_locked() {
    local requirements
    requirements=$(mktemp)
    # shellcheck disable=SC2064  # the name of now, not of then
    trap "rm -f '$requirements'" RETURN
    "$VENV/bin/python" packaging/requirements.py "$@" >"$requirements"
    PYTHONPATH=$BUILD_TOOLS "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes \
        --no-build-isolation -r "$requirements"
}

# pip would fetch build backends without a hash and run them; so they are fetched here, by hash, and isolation is off.
install_build_tools() {
    BUILD_TOOLS=$(mktemp -d)
    trap 'rm -rf "$BUILD_TOOLS"' EXIT
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
        --target "$BUILD_TOOLS" -r packaging/build-requirements.txt
}

install_project() {
    PYTHONPATH=$BUILD_TOOLS "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-index --no-deps \
        --no-build-isolation -e .
}

main() {
    local asked=(--group dev --extra analysis --extra arrow --extra dask
        --extra exchange --extra pages --extra postgres --extra venue) tools
    case "${1:-}" in
    "" | bench) ;;
    *) die "unknown argument $1" "usage: packaging/setup.sh [bench]" ;;
    esac

    make_venv
    if journal_wanted; then
        asked+=(--extra journal)
    else
        say "going on without the journal (libsystemd-dev is missing); manifests will say that it is absent"
    fi
    install_build_tools || die "the build tools could not be installed"
    install_locked "${asked[@]}" || die "the locked packages could not be installed"
    install_project || die "the project could not be installed into $VENV"
    if [ "${1:-}" = bench ]; then
        install_locked "${asked[@]}" --group bench ||
            say "the benchmark goes on without what it compares itself with: those packages could not be installed"
    fi

    read -ra tools <<<"$(missing_tools shellcheck:shellcheck systemd-analyze:systemd ssh-keygen:openssh-client \
        strace:strace mkfs.ext4:e2fsprogs codespell:codespell zstd:zstd mandoc:mandoc)"
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || tools+=(postgresql)
    if [ ${#tools[@]} -gt 0 ] && ! apt_install "${tools[@]}"; then
        say "tests that need ${tools[*]} will be skipped, and say so"
    fi
    say "ready: $VENV/bin/prometheus-quant --help"
}

main "$@"
