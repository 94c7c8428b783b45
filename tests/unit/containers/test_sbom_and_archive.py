"""The archive and the bill of materials say the same for the same images, whoever builds them and wherever."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
CONTAINERS = REPOSITORY / "containers"
SHARED = b"a layer of both"


def blob(layout: Path, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs/sha256" / name).write_bytes(data)
    return f"sha256:{name}"


@pytest.fixture
def built(tmp_path):
    """What containers/podman-build.sh leaves, small."""
    place = tmp_path / "built"
    ids = ["base localhost/base:stand-in stand-in sha256:" + "0" * 64]
    for target in ("stage1_sandbox", "stage2_sandbox", "desk"):
        layout = place / target
        blob(layout, SHARED)
        base = {"org.opencontainers.image.base.digest": "sha256:" + target}  # another one in each build
        digest = blob(layout, json.dumps({"layers": [target], "annotations": {**base, "kept": "yes"}}).encode())
        index = {"schemaVersion": 2, "manifests": [{"digest": digest, "size": 1, "mediaType": "x"}]}
        (layout / "index.json").write_text(json.dumps(index))
        ids.append(f"target {target} {'ab' * 32} 12345")
    (place / "ids").write_text("\n".join(ids) + "\n")
    (place / "dpkg").write_text("libc6 2.41-12 amd64 glibc\nbash 5.2-2 amd64 bash\n")
    (place / "python").write_text("3.12.1\n")
    (place / "build.env").write_text(
        "EPOCH=1767225600\nCREATED=2026-01-01T00:00:00Z\nGIT_COMMIT=abc\nGIT_DIRTY=false\n"
    )
    (place / "requirements.txt").write_text(f"numpy==2.4.6 --hash=sha256:{'1' * 64}\n")
    (place / "desk-requirements.txt").write_text(f"scipy==1.17.1 --hash=sha256:{'2' * 64}\n")
    return place


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CONTAINERS / script), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def joined(built: Path, out: Path) -> Path:
    ended = run("archive.py", built, out)
    assert ended.returncode == 0, ended.stderr
    return out


def test_a_shared_layer_is_archived_once(built, tmp_path):
    with tarfile.open(joined(built, tmp_path / "out") / "prometheus-quant.oci.tar") as archive:
        names = archive.getnames()
    assert len(names) == len(set(names)) == 6
    assert f"blobs/sha256/{hashlib.sha256(SHARED).hexdigest()}" in names


def test_later_and_under_another_owner_the_archive_has_the_same_bytes(built, tmp_path):
    first = joined(built, tmp_path / "first")
    for place in built.rglob("*"):
        os.utime(place, (1, 1))
        place.chmod(0o700)
    second = joined(built, tmp_path / "second")
    for name in ("prometheus-quant.oci.tar", "image.json", "release.env"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_units_get_images_by_digest_and_never_by_tag(built, tmp_path):
    lines = (joined(built, tmp_path / "out") / "release.env").read_text().splitlines()
    said = dict(line.split("=", 1) for line in lines)
    for name, target in (("STAGE1", "stage1_sandbox"), ("STAGE2", "stage2_sandbox"), ("DESK", "desk")):
        manifest = f'{{"annotations":{{"kept":"yes"}},"layers":["{target}"]}}'
        digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
        assert said[f"PQ_IMAGE_{name}"] == f"localhost/prometheus-quant@{digest}"
        assert said[f"PQ_IMAGE_{name}_DIGEST"] == digest


def test_the_bill_of_materials_lists_python_its_packages_and_debians(built, tmp_path):
    (built / "image.json").write_bytes((joined(built, tmp_path / "out") / "image.json").read_bytes())
    ended = run("sbom.py", built, built, tmp_path / "sbom.json")
    assert ended.returncode == 0, ended.stderr
    bill = json.loads((tmp_path / "sbom.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert [component["purl"] for component in bill["components"]] == [
        "pkg:deb/debian/bash@5.2-2?arch=amd64&distro=trixie&upstream=bash",
        "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie&upstream=glibc",
        "pkg:generic/python@3.12.1",
        "pkg:pypi/numpy@2.4.6",
        "pkg:pypi/scipy@1.17.1",
    ]
    assert bill["components"][3]["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert "properties" not in bill["components"][3]
    assert bill["components"][4]["properties"] == [{"name": "prometheus-quant:only-in", "value": "desk"}]


def test_a_requirement_without_its_hash_is_refused(built, tmp_path):
    (built / "image.json").write_bytes((joined(built, tmp_path / "out") / "image.json").read_bytes())
    (built / "requirements.txt").write_text("numpy==2.4.6\n")
    ended = run("sbom.py", built, built, tmp_path / "sbom.json")
    assert ended.returncode != 0
    assert "not a hashed requirement: numpy==2.4.6" in ended.stderr
