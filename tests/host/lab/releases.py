"""Further releases made of a built one: the same layers under another commit, and, if asked for, another command."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

COMMIT = "org.opencontainers.image.revision"


class _Blobs:
    """What is written anew, by digest."""

    def __init__(self) -> None:
        self.made: dict[str, bytes] = {}

    def add(self, tree: dict[str, Any]) -> tuple[str, int]:
        data = json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.made[f"blobs/sha256/{digest}"] = data
        return f"sha256:{digest}", len(data)


def another(archive: Path, place: Path, letter: str, command: list[str] | None = None) -> None:
    """Write to ``place`` the images of an OCI ``archive`` as those of commit ``letter`` x 40.

    Args:
        command: what they run instead of the service.
    """
    blobs = _Blobs()
    with tarfile.open(archive) as tar:

        def read(name: str) -> dict[str, Any]:
            member = tar.extractfile(name)
            assert member is not None, name
            return dict(json.loads(member.read()))

        def blob(digest: str) -> dict[str, Any]:
            return read(f"blobs/sha256/{digest.removeprefix('sha256:')}")

        index = read("index.json")
        for entry in index["manifests"]:
            manifest = blob(entry["digest"])
            config = blob(manifest["config"]["digest"])
            config["config"]["Labels"][COMMIT] = letter * 40
            if command is not None:
                config["config"]["Entrypoint"] = command
            manifest["config"]["digest"], manifest["config"]["size"] = blobs.add(config)
            entry["digest"], entry["size"] = blobs.add(manifest)
        written = {**blobs.made, "index.json": json.dumps(index).encode()}
        with tarfile.open(place, "w") as out:
            for member in tar:
                if member.name not in written:
                    out.addfile(member, tar.extractfile(member) if member.isfile() else None)
            for name, data in written.items():
                entry_of = tarfile.TarInfo(name)
                entry_of.size = len(data)
                out.addfile(entry_of, io.BytesIO(data))
