#!/usr/bin/env bash
# What `make test` needs beside the project's own environment. Two things at a time: each waits for the network mostly.
#
#   tests/prerequisites.sh PYTHON     PYTHON is the interpreter of the project's environment
#
# What cannot be had is said, and the tests that need it are skipped.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
python=$1

# Packages of Debian: apt does one thing at a time.
packages() {
    tests/pages/prerequisites.sh || echo "the tests of pages in a browser will be skipped"
    tests/host/prerequisites.sh || echo "the tests of a real host will be skipped"
}

# Environments of Python, each from a lock of its own.
environments() {
    "$python" tests/venue/outsiders/environments.py build ccxt || echo "ccxt will be skipped on the venue"
    "$python" packaging/through_ccxt/ccxt_environment.py build || echo "sessions through ccxt will be skipped"
    "$python" packaging/docs/docs_environment.py build || echo "the site of documents and the notebooks will be skipped"
}

packages &
environments
wait
