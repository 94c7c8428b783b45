#!/usr/bin/env bash
# The unit tests under every supported Python that this machine has: `make matrix`.
#
#   packaging/matrix.sh [TEST]...     by default tests/unit
#
# Each Python gets its own environment with the locked packages under var/matrix/. No interpreter is downloaded: what is
# not here is said. Ends with 1 when a test fails, with 69 when none of the Pythons is here.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VERSIONS="3.11 3.12 3.13"
readonly ENVIRONMENTS=var/matrix

say() { printf 'matrix: %s\n' "$*"; }

# The first interpreter of a version that runs and can make a virtual environment (a shim of pyenv may do neither).
interpreter() {
    local version=$1 candidate
    while read -r candidate; do
        if "$candidate" -c "import sys, ensurepip, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" \
            >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done < <(
        type -ap "python$version" || true
        ls -d "$HOME/.pyenv/versions/$version".*/bin/"python$version" 2>/dev/null || true
    )
    return 1
}

test_with() {
    local version=$1 python=$2 environment=$ENVIRONMENTS/$1
    shift 2
    [ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
    PQ_VENV=$environment packaging/setup.sh || return 1
    "$environment/bin/pytest" -q -n 2 -p no:cacheprovider "$@"
}

tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(tests/unit)
mkdir -p "$ENVIRONMENTS"
told=() failed=0 tried=0
for version in $VERSIONS; do
    if ! python=$(interpreter "$version"); then
        told+=("$version  not on this machine")
        continue
    fi
    tried=$((tried + 1))
    say "$version: $("$python" --version)"
    if test_with "$version" "$python" "${tests[@]}"; then
        told+=("$version  passed ($("$python" --version))")
    else
        told+=("$version  FAILED ($("$python" --version))")
        failed=1
    fi
done
for line in "${told[@]}"; do
    say "$line"
done
[ "$tried" -gt 0 ] || exit 69
exit $failed
