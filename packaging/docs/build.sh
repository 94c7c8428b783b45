#!/usr/bin/env bash
# Builds the documents as a site; the first warning of any kind is an error. `make docs` makes its environment first.
#
#   packaging/docs/build.sh OUT             the site, into OUT, which is replaced when the build is whole
#   packaging/docs/build.sh OUT linkcheck   asks every link that leaves the site (network), and prints those that fail
set -euo pipefail
out=$(realpath -m "$1") builder=${2:-html}
cd "$(dirname "$0")/../.."
python=${PQ_DOCS:-.venv-docs}/bin/python
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT

"$python" -m sphinx -q -n -W --keep-going -b "$builder" -c packaging/docs -d "$work/read" . "$work/site"
chmod -R u=rwX,go=rX "$work/site"
rm -rf "$out"
mv -T "$work/site" "$out"
