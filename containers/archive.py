"""Join the OCI layouts of every target into one archive that is the same bytes for the same images.

    containers/archive.py BUILT OUT        reads BUILT/<target>/, BUILT/ids and BUILT/dpkg; writes into OUT:

    prometheus-quant.oci.tar   every image; shared layers once. one is loaded by
                               podman pull oci-archive:FILE:localhost/prometheus-quant:stage1_sandbox
    image.json                 ids, digests and sizes of all, the base, the commit, sha256 of the archive
    release.env                what a unit reads: images by digest, never by tag

Standard library only.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

NAME = "localhost/prometheus-quant"
ARCHIVE = "prometheus-quant.oci.tar"
BASE = "org.opencontainers.image.base."
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REF = "org.opencontainers.image.ref.name"
CHUNK = 1 << 20


def settings(path: Path) -> dict[str, str]:
    """``KEY=value`` lines of build.env."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line)


def as_json(tree: Any) -> bytes:
    """The one spelling of a JSON value."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()


def manifest_of(layout: Path) -> tuple[str, bytes]:
    """The one manifest of a layout: the name of its blob, and its text without what it says of its base.

    That is the digest of an image that the build made, which nobody can fetch, and which is another one in each build,
    because importing a base dates it.
    """
    (found,) = json.loads((layout / "index.json").read_text())["manifests"]
    name = found["digest"].removeprefix("sha256:")
    manifest = json.loads((layout / "blobs/sha256" / name).read_text())
    said = manifest.pop("annotations", {})
    if kept := {key: text for key, text in said.items() if not key.startswith(BASE)}:
        manifest["annotations"] = kept
    return name, as_json(manifest)


def descriptor_of(manifest: bytes, target: str) -> dict[str, Any]:
    """What the index says of a manifest, with the name that loading gives the image."""
    return {
        "mediaType": MANIFEST,
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "size": len(manifest),
        "annotations": {REF: f"{NAME}:{target}"},
    }


def member(name: str, size: int, epoch: int) -> tarfile.TarInfo:
    """A file's header that says nothing about who built it, or when."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, epoch, 0o644
    return info


def write_archive(place: Path, layouts: dict[str, Path], epoch: int) -> dict[str, dict[str, Any]]:
    """Write the archive; returns each target's descriptor."""
    manifests = {target: manifest_of(layout) for target, layout in layouts.items()}
    found = {target: descriptor_of(text, target) for target, (_, text) in manifests.items()}
    index = {"schemaVersion": 2, "manifests": [found[target] for target in sorted(found)]}
    texts = {"index.json": as_json(index), "oci-layout": as_json({"imageLayoutVersion": "1.0.0"})}
    texts |= {f"blobs/sha256/{hashlib.sha256(text).hexdigest()}": text for _, text in manifests.values()}
    blobs = {blob.name: blob for layout in layouts.values() for blob in (layout / "blobs/sha256").iterdir()}
    for name, _ in manifests.values():
        blobs.pop(name, None)
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in sorted(texts.items(), key=lambda one: (one[0].startswith("blobs"), one[0])):
            archive.addfile(member(name, len(text), epoch), io.BytesIO(text))
        for name in sorted(blobs):
            with blobs[name].open("rb") as reader:
                archive.addfile(member(f"blobs/sha256/{name}", blobs[name].stat().st_size, epoch), reader)
    return found


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex."""
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def main() -> int:
    """Join, describe; returns the exit code."""
    built, out = Path(sys.argv[1]), Path(sys.argv[2])
    facts = settings(built / "build.env")
    lines = [line.split() for line in (built / "ids").read_text().splitlines()]
    (base,) = [line for line in lines if line[0] == "base"]
    ids = {line[1]: line[2:] for line in lines if line[0] == "target"}
    layouts = {target: built / target for target in ids}
    out.mkdir(parents=True, exist_ok=True)
    found = write_archive(out / ARCHIVE, layouts, int(facts["EPOCH"]))
    images = {
        target: {
            "id": f"sha256:{ids[target][0]}",
            "digest": found[target]["digest"],
            "reference": f"{NAME}@{found[target]['digest']}",
            "bytes": int(ids[target][1]),
        }
        for target in sorted(ids)
    }
    described = {
        "schema": "container_image/1",
        "git_commit": facts["GIT_COMMIT"] or None,
        "git_dirty": facts["GIT_DIRTY"] == "true",
        "created": facts["CREATED"],
        "base": {"name": base[1], "kind": base[2], "digest": base[3], "pinned": facts.get("BASE_PINNED") == "true"},
        "images": images,
        "archive": {"name": ARCHIVE, "bytes": (out / ARCHIVE).stat().st_size, "sha256": sha256_of(out / ARCHIVE)},
    }
    (out / "image.json").write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")
    release = []
    for target, image in images.items():
        stage = target.partition("_")[0].upper()
        release += [f"PQ_IMAGE_{stage}={image['reference']}", f"PQ_IMAGE_{stage}_DIGEST={image['digest']}"]
    (out / "release.env").write_text("\n".join([*release, f"PQ_GIT_COMMIT={facts['GIT_COMMIT']}", ""]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
