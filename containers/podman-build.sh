#!/usr/bin/env bash
# Builds every target from a context, with Podman alone: no network, no cache, no time of its own.
#
#   containers/podman-build.sh CONTEXT OUT
#
# OUT/stage1_sandbox, OUT/stage2_sandbox and OUT/desk become uncompressed OCI layouts, whose digests are those that a host
# sees after loading them; OUT/ids and OUT/dpkg say which images came out and which Debian packages are in them.
set -euo pipefail
context=$(realpath "$1")
out=$(realpath -m "$2")
# shellcheck source=/dev/null
. "$context/build.env"
readonly NAME=localhost/prometheus-quant

mkdir -p "$out"
if [ "$BASE_KIND" = stand-in ]; then
    found=sha256:$(sha256sum "$context/base.tar" | cut -d' ' -f1)
    if [ "$found" != "$BASE_SHA256" ]; then
        printf 'the base of the context is %s, and build.env names %s\n' "$found" "$BASE_SHA256" >&2
        exit 65
    fi
    base=$NAME-base:stand-in
    podman import -q "$context/base.tar" "$base" >/dev/null
    printf 'base %s stand-in sha256:%s\n' "$base" "$(sha256sum "$context/base.tar" | cut -d' ' -f1)" >"$out/ids"
else
    # shellcheck disable=SC2153  # both from build.env
    base=$BASE_TAG@$BASE_DIGEST
    podman pull -q "$base" >/dev/null
    printf 'base %s registry %s\n' "$BASE_TAG" "$BASE_DIGEST" >"$out/ids"
fi

labels=(--label "io.prometheus-quant.base=$BASE_KIND $BASE_SHA256" --label "io.prometheus-quant.base-pinned=$BASE_PINNED")
[ -z "$SOURCE" ] || labels+=(--label "org.opencontainers.image.source=$SOURCE")
# --timestamp: one time for files, config and history. --omit-history: a build's history holds a hash of mounted
# directories with their times. --layers: images of the same steps differ between --layers and not, so one is fixed.
build=(podman build -q --pull=never --network=none --no-cache --layers --omit-history --timestamp "$EPOCH"
    --build-arg "BASE_IMAGE=$base" --build-arg "GIT_COMMIT=$GIT_COMMIT" --build-arg "CREATED=$CREATED" "${labels[@]}"
    --ignorefile /dev/null)
"${build[@]}" --target suite -t "$NAME:suite" "$context" >/dev/null
for target in stage1_sandbox stage2_sandbox desk; do
    "${build[@]}" --build-arg "SUITE=$NAME:suite" --target "$target" -t "$NAME:$target" "$context" >/dev/null
    rm -rf "${out:?}/$target"
    podman save -q --format oci-dir --uncompressed -o "$out/$target" "$NAME:$target"
    printf 'target %s %s\n' "$target" "$(podman image inspect --format '{{.Id}} {{.Size}}' "$NAME:$target")" >>"$out/ids"
done
podman run --rm --network=none --cgroups=disabled --log-driver=none --entrypoint=dpkg-query "$NAME:suite" \
    -W -f='${Package} ${Version} ${Architecture} ${source:Package}\n' >"$out/dpkg"
podman run --rm --network=none --cgroups=disabled --log-driver=none --entrypoint=python3 "$NAME:suite" \
    -c 'import platform; print(platform.python_version())' >"$out/python"
