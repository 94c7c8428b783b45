"""The lines of a run's event files, whether retention or sealing compressed them: the one way in which reports read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, open_evidence


def is_there(run: Path, artifact: Artifact) -> bool:
    """Whether a run has an event file, in whichever form."""
    path = run / artifact.file_name(run_id=run.name)
    return path.exists() or path.with_name(path.name + PACKED_SUFFIX).exists()


def event_lines(run: Path, artifact: Artifact) -> Iterator[bytes]:
    """Whole lines of an event file, without their newline; none where there is no such file.

    What stands behind the last newline was cut off and is left out.

    Raises:
        EvidenceError: when it is compressed and cannot be unpacked.
        HostError: when it cannot be read.
    """
    path = run / artifact.file_name(run_id=run.name)
    if not is_there(run, artifact):
        return
    with open_evidence(path) as stream:
        try:
            data = stream.read()
        except (OSError, EOFError, ValueError) as error:
            raise EvidenceError(f"cannot read {path}: {error}", hint="verify the run's directory") from error
    lines = data.split(b"\n")
    lines.pop()
    yield from lines
