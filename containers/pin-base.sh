#!/usr/bin/env bash
# Asks the registry which digest the base's tag has now, and writes it into containers/base.env. Needs Podman and network.
#
#   containers/pin-base.sh         then review the change and commit it
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=containers/base.env
. ./base.env

podman pull -q "$BASE_TAG" >/dev/null
digest=$(podman image inspect --format '{{.Digest}}' "$BASE_TAG")
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || {
    printf 'the registry gave no digest for %s, but: %s\n' "$BASE_TAG" "$digest" >&2
    exit 69
}
sed -i "s|^BASE_DIGEST=.*|BASE_DIGEST=$digest|" base.env
printf '%s is %s\n' "$BASE_TAG" "$digest"
