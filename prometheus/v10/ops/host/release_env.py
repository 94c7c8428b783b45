"""``release.env``: which images the units run, by digest (contracts, section 2). Standard library and attrs only.

The file is systemd's: ``NAME=value`` lines that units read with ``EnvironmentFile=``. Names are those of the units:
``PQ_IMAGE_<STAGE>`` is what Podman is given, ``PQ_IMAGE_<STAGE>_DIGEST`` what manifests record, ``PQ_GIT_COMMIT`` the
sources; ``PQ_IMAGE_DESK`` is what the host command hands commands to; ``PQ_EVIDENCE`` and ``PQ_CUSTODIAN`` say whether
the images write through the custodian, which those of earlier versions cannot. A reference without a digest is refused:
a tag may mean other bytes tomorrow.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import ConfigError, host_error
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout

FILE = "release.env"
PREVIOUS = "release.env.previous"
CUSTODIAN = "--custodian /run/custodian"
"""What a stage's payload is told: where its custodian listens, as the units mount it."""
_DESK = "PQ_IMAGE_DESK"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(r"[A-Za-z0-9][\w./:-]*@(sha256:[0-9a-f]{64})")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HINT = "load a release and use it: prometheus-quant release load FILE; prometheus-quant release use DIGEST"


@frozen
class Release:
    """The images that belong together.

    Attributes:
        images: reference by digest, for each stage.
        git_commit: what they were built from; None where the build did not know.
        custodian: whether they write through the custodian; those of earlier versions write themselves.
        desk: reference by digest of the image of reports, gates, exports and imports; None where the release has none,
            as those of earlier versions. No unit runs it, so a release without is a release.
    """

    images: dict[Stage, str]
    git_commit: str | None
    custodian: bool = False
    desk: str | None = None

    @property
    def id(self) -> str:
        """What an operator calls it: 12 digits of stage 1's digest."""
        return self.digest(Stage.STAGE1).removeprefix("sha256:")[:12]

    def digest(self, stage: Stage) -> str:
        """The digest of a stage's image."""
        return digest_of(self.images[stage])

    def digests(self) -> list[str]:
        """The digests of all its images."""
        return [digest_of(reference) for reference in (*self.images.values(), self.desk) if reference is not None]

    def same_images(self, other: Release | None) -> bool:
        """Whether the units run the same bytes under both."""
        return other is not None and all(self.digest(stage) == other.digest(stage) for stage in Stage)

    def text(self) -> str:
        """As ``release.env`` spells it."""
        lines = []
        for stage in Stage:
            name = f"PQ_IMAGE_{stage.value.upper()}"
            lines += [f"{name}={self.images[stage]}", f"{name}_DIGEST={self.digest(stage)}"]
        if self.desk is not None:
            lines += [f"{_DESK}={self.desk}", f"{_DESK}_DIGEST={digest_of(self.desk)}"]
        lines.append(f"PQ_GIT_COMMIT={self.git_commit or ''}")
        lines.append(f"PQ_EVIDENCE={'ro' if self.custodian else 'rw'}")
        lines.append(f"PQ_CUSTODIAN={CUSTODIAN if self.custodian else ''}")
        return "\n".join([*lines, ""])

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "id": self.id,
            "images": {stage.value: self.images[stage] for stage in Stage},
            "git_commit": self.git_commit,
            "custodian": self.custodian,
            **({} if self.desk is None else {"desk": self.desk}),
        }


def env_file(layout: Layout) -> Path:
    """Where the release in force stands."""
    return layout.etc / FILE


def previous_file(layout: Layout) -> Path:
    """Where the one before it stands."""
    return layout.etc / PREVIOUS


def read_release(place: Path) -> Release | None:
    """The release that a file names; None where there is no file.

    Raises:
        ConfigError: when it names none, or names an image by a tag.
        HostError: when it cannot be read.
    """
    try:
        text = place.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place} is not text", hint=_HINT) from error
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    images = {stage: _reference(place, said, f"PQ_IMAGE_{stage.value.upper()}") for stage in Stage}
    desk = _reference(place, said, _DESK) if _DESK in said else None
    commit = said.get("PQ_GIT_COMMIT", "")
    custodian = said.get("PQ_CUSTODIAN") == CUSTODIAN and said.get("PQ_EVIDENCE") == "ro"
    return Release(images, commit if _COMMIT.fullmatch(commit) else None, custodian, desk)


def _reference(place: Path, said: dict[str, str], name: str) -> str:
    reference = said.get(name, "")
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise ConfigError(f"{place}: {name}={reference!r} names no image by its digest", hint=_HINT)
    if said.get(f"{name}_DIGEST") != found[1]:
        raise ConfigError(f"{place}: {name}_DIGEST is not the digest of {reference}", hint=_HINT)
    return reference


def write_release(place: Path, release: Release) -> None:
    """Replace the file: a unit that starts meanwhile reads the old one or the new.

    Raises:
        HostError: when it cannot be written.
    """
    write_atomic(place, release.text().encode("ascii"), mode=0o644)


def digest_of(reference: str) -> str:
    """The digest by which a reference names its image."""
    return reference.rpartition("@")[2]


def is_digest(text: str) -> bool:
    """Whether ``text`` is ``sha256:`` and 64 digits."""
    return _DIGEST.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    """Whether ``text`` names an image by its digest."""
    return _REFERENCE.fullmatch(text) is not None
