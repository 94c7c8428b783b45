#!/usr/bin/env bash
# Builds the Debian package: units, host command, profiles, man pages, completions. The same commit gives the same bytes.
#
#   packaging/deb/build-deb.sh [OUT]        OUT is dist/deb
#
# The host command runs on the host's own Python (Debian 13: 3.13; Debian 12: 3.11) with the locked packages beside it,
# so that installing needs no network and touches nobody else's packages. numpy is not among them: evolution runs in the
# image. Wheels are held to the hashes of poetry.lock and kept under $PQ_BUILD_CACHE. Needs no root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=containers/common.sh
. "$here/../../containers/common.sh"
out=$(realpath -m "${1:-$here/../../dist/deb}")
cd "$here/../.."
umask 022
PYTHON=$(realpath -ms "${PYTHON:-.venv/bin/python}")
readonly PYTHON
readonly HOST_PYTHONS="3.13 3.11"
readonly PACKAGES="annotated-doc annotated-types attrs jinja2 markdown-it-py markupsafe mdurl psycopg pydantic pydantic-core pygments rich shellingham typer typing-extensions typing-inspection"
need_commands dpkg-deb:dpkg dpkg:dpkg git:git python3:python3 xz:xz-utils gzip:gzip
[ -x "$PYTHON" ] || die "$PYTHON is not there" "make setup" 69

# ---- which version this is -------------------------------------------------------------------------------------------

cache=$(build_cache) || exit $?
work=$(mktemp -d /var/tmp/prometheus-quant-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT
commit='' dirty=true epoch=$FALLBACK_EPOCH
mkdir "$work/source"
# Everything below is made from this copy, whose content was compared with the commit's.
take_sources "$work/source" prometheus units packaging docs containers CHANGELOG.md pyproject.toml poetry.lock
export SOURCE_DATE_EPOCH=$epoch TZ=UTC LC_ALL=C.UTF-8
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
if [ "$(git_here describe --exact-match --tags HEAD 2>/dev/null || true)" != "v$version" ] || [ "$dirty" = true ]; then
    version="$version~git$(date -u -d "@$epoch" +%Y%m%d%H%M%S).${commit:0:7}"
    [ "$dirty" = false ] || version="$version+dirty"
fi
architecture=$(dpkg --print-architecture)
case $architecture in
amd64) platform=x86_64 ;;
arm64) platform=aarch64 ;;
*) die "no wheels are locked for $architecture" "build on amd64 or arm64" 69 ;;
esac

cd "$work/source"
here=$work/source/packaging/deb

# ---- wheels ----------------------------------------------------------------------------------------------------------

wheels=$cache/host-wheels-2-$architecture-$(cat poetry.lock "$here/build-deb.sh" | sha256sum | cut -c1-16)
"$PYTHON" packaging/requirements.py --extra pages --extra postgres >"$work/locked.txt"
pattern="^($(printf '%s' "$PACKAGES" | tr ' ' '|'))=="
grep -E "$pattern" "$work/locked.txt" >"$work/requirements.txt"
[ "$(wc -l <"$work/requirements.txt")" -eq "$(wc -w <<<"$PACKAGES")" ] || die "poetry.lock lacks one of: $PACKAGES"
if [ ! -d "$wheels" ]; then
    part=$(mktemp -d "$wheels.XXXXXX") # of this build alone: another may fill the cache at the same time
    trap 'rm -rf "$work" "$part"' EXIT
    for python in $HOST_PYTHONS; do
        "$PYTHON" -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
            --python-version "$python" --implementation cp --platform "manylinux2014_$platform" \
            --platform "manylinux_2_17_$platform" -d "$part" -r "$work/requirements.txt" ||
            die "the locked packages could not be downloaded" "" 69
    done
    mv -T "$part" "$wheels" 2>/dev/null || [ -d "$wheels" ] || die "$wheels could not be made" "" 74
fi
# What is unpacked is a copy that was hashed again, whoever filled the cache and whenever.
cp -r "$wheels" "$work/wheels"
python3 -IB containers/check_wheels.py "$work/wheels" "$work/requirements.txt" >/dev/null || exit $?

# ---- the tree --------------------------------------------------------------------------------------------------------

tree=$work/tree lib=$work/tree/usr/lib/prometheus-quant
put() { # mode, place, files: install with that mode
    local mode=$1 place=$tree$2
    shift 2
    install -d "$place"
    install -m "$mode" -t "$place" "$@"
}

put 644 /usr/lib/systemd/system units/*.service units/*.socket units/*.timer units/*.path units/*.target units/*.slice
put 644 /usr/lib/systemd/system/prometheus-stage1@OKX_DEMO.service.d units/networked.conf
put 755 /usr/lib/systemd/system-generators units/libexec/prometheus-quant-generator
put 755 /usr/lib/prometheus-quant units/libexec/instance-env units/libexec/record-result units/libexec/start-container
install -m 755 packaging/provision-host.sh "$lib/provision-host"
put 644 /usr/lib/sysusers.d packaging/sysusers.d/prometheus-quant.conf
put 644 /usr/lib/tmpfiles.d packaging/tmpfiles.d/prometheus-quant.conf
put 644 /usr/lib/systemd/catalog packaging/prometheus-quant.catalog
put 644 /usr/share/prometheus-quant packaging/monitoring/grafana.json packaging/monitoring/prometheus-quant.rules.yml
put 644 /etc/prometheus-quant/profiles prometheus/v10/runs/profiles/*.toml
put 755 /usr/bin "$here/prometheus-quant"

mkdir -p "$lib/python"
for wheel in "$work/wheels"/*.whl; do
    "$PYTHON" -m zipfile -e "$wheel" "$lib/python"
done
rm -rf "$lib"/python/*.data "$lib"/python/bin
cp -a prometheus "$lib/python/"
rm -r "$lib/python/prometheus/venue" # a checkout has it, a host does not
commit_json=null
[ -z "$commit" ] || commit_json="\"$commit\""
printf '{\n  "git_commit": %s,\n  "git_dirty": %s,\n  "source_date": "%s"\n}\n' "$commit_json" "$dirty" \
    "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" >"$lib/python/prometheus/_build.json"
find "$lib/python" -name __pycache__ -prune -exec rm -rf {} +

# ---- documents -------------------------------------------------------------------------------------------------------

doc=$tree/usr/share/doc/prometheus-quant
install -d "$doc"
install -m 644 "$here/copyright" "$doc/copyright"
for wanted in docs/*.md CHANGELOG.md; do
    gzip -9nc "$wanted" >"$doc/$(basename "$wanted").gz"
done
# Debian's own form, which tools read; what changed is in CHANGELOG.md.
printf 'prometheus-quant (%s) unstable; urgency=medium\n\n  * CHANGELOG.md says what changed.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$here/control")" "$(date -u -R -d "@$epoch")" | gzip -9n >"$doc/changelog.gz"
day=$(date -u -d "@$epoch" +%Y-%m-%d)
"$PYTHON" packaging/man_pages.py "$work/man" "$version" "$day" || die "the man pages could not be made" "" 70
for page in "$here"/man/*.[17] "$work"/man/*.1; do
    install -d "$tree/usr/share/man/man${page##*.}"
    sed "s/@VERSION@/$version/; s/@DATE@/$day/" "$page" |
        gzip -9n >"$tree/usr/share/man/man${page##*.}/$(basename "$page").gz"
done
complete() { # shell, place: typer's own completion script
    install -d "$(dirname "$tree$2")"
    _PROMETHEUS_QUANT_COMPLETE=source_$1 "$PYTHON" -m prometheus.cli.host >"$tree$2"
    [ -s "$tree$2" ] || die "no completion for $1 came out" "" 70
}
complete bash /usr/share/bash-completion/completions/prometheus-quant
complete zsh /usr/share/zsh/vendor-completions/_prometheus-quant
complete fish /usr/share/fish/vendor_completions.d/prometheus-quant.fish

# ---- the package -----------------------------------------------------------------------------------------------------

install -d -m 755 "$tree/DEBIAN"
install -m 755 -t "$tree/DEBIAN" "$here/postinst" "$here/prerm" "$here/postrm"
(cd "$tree" && find etc -type f -printf '/%p\n' | sort) >"$tree/DEBIAN/conffiles"
find "$tree" -type f -not -path '*/DEBIAN/*' -name '*.so' -exec chmod 644 {} +
size=$(du -sk --apparent-size --exclude=DEBIAN "$tree" | cut -f1)
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" "$here/control" >"$tree/DEBIAN/control"
(cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod -R u=rwX,go=rX "$tree"
find "$tree" -exec touch -h -d "@$epoch" {} +
mkdir -p "$out"
# One thread: what xz writes depends on how many it uses.
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Zxz --build "$tree" "$work/package.deb" >/dev/null
place=$out/prometheus-quant_${version}_$architecture.deb
mv "$work/package.deb" "$place"
printf '%s\n' "$place"
