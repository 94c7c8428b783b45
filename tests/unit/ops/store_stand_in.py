"""A Podman whose store is a table, for tests of releases."""

from __future__ import annotations

import json
from collections.abc import Sequence

from prometheus.v10.ops.host.podman import DESK
from prometheus.v10.ops.host.runner import Ended

COMMITS = {"a": "a" * 40, "b": "b" * 40}


def digest(letter: str, target: str) -> str:
    """Of an image of release ``letter``, for a stage or the desk."""
    return "sha256:" + (letter + ("d" if target == DESK else target[-1])) * 32


def label(target: str) -> str:
    return DESK if target == DESK else f"{target}_sandbox"


class Store:
    """A Podman whose store is a table: what it is asked to pull it finds in ``there``."""

    def __init__(self) -> None:
        self.there: dict[str, dict] = {}
        self.held: dict[str, dict] = {}
        self.tags: dict[str, str] = {}

    def offer(self, source: str, letter: str, target: str, **labels: str | None) -> None:
        said = {
            "io.prometheus-quant.target": label(target),
            "org.opencontainers.image.revision": COMMITS[letter],
            "org.opencontainers.image.created": f"2026-01-0{ord(letter) - 96}T00:00:00Z",
        } | labels
        image = digest(letter, target)
        self.there[source] = {"Id": image[7:], "Digest": image, "Labels": said, "Size": 1}

    def __call__(self, words: Sequence[str], **_) -> Ended:
        rest = [word for word in words[1:] if not word.startswith("--")]
        code, out = getattr(self, f"_{rest[0]}")(*rest[1:])
        return Ended(tuple(words), code, out, "" if code == 0 else "no such thing")

    def _find(self, name: str) -> dict | None:
        return next((i for i in self.held.values() if name in {i["Id"]} or name.endswith(f"@{i['Digest']}")), None)

    def _pull(self, _quiet: str, source: str) -> tuple[int, str]:
        found = next((self.there[key] for key in self.there if source.endswith(key)), None)
        if found is None:
            return 125, ""
        self.held[found["Id"]] = found
        return 0, found["Id"] + "\n"

    def _image(self, what: str, *names: str) -> tuple[int, str]:
        found = [self._find(name) for name in names]
        return (0 if all(found) else 1, "" if what == "exists" else json.dumps([one for one in found if one]))

    def _tag(self, image: str, name: str) -> tuple[int, str]:
        self.tags[name] = image
        return 0, ""

    def _untag(self, name: str, _same: str) -> tuple[int, str]:
        self.tags.pop(name, None)
        return 0, ""
