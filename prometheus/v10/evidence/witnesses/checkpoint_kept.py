"""Checkpoints that somebody kept: read with their signatures, and held against a ledger in one pass over it.

A checkpoint agrees with a ledger when the ledger's first ``size`` lines have its root, and, where its origin names an
installation, when the ledger is that installation's. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.reading import SMALL, read_whole
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_table import problem
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.records.canonical import object_of_line
from prometheus.v10.evidence.witnesses.checkpoint import Checkpoint, Tree, parse_checkpoint
from prometheus.v10.evidence.witnesses.signed_note import MOST_BYTES, Verifier, check_note, parse_note, parse_verifiers

SUFFIX = ".checkpoint"
PUBLIC = "checkpoint.pub"
"""The public keys of the checkpoints that lie beside it."""

OWN = re.compile(r"\d{12,}" + re.escape(SUFFIX))
"""What a witness calls its own checkpoints: the number of entries, so that names sort as they were taken."""

_ORIGIN = "prometheus-quant/"
_BOUND = re.compile(r"prometheus-quant/([0-9a-f]{32})")
_INSTALLATION = f'"type":"{LedgerEntryType.INSTALLATION}"'.encode()


def origin_of(installation: str) -> str:
    """The origin of an installation's checkpoints: it names the ledger's own first entry."""
    return _ORIGIN + installation


@dataclass(frozen=True)
class Kept:
    """One checkpoint of a file.

    Attributes:
        path: where it was read.
        checkpoint: what it says.
        signed: whether a key that is known here signed it.
        time: when, in seconds since 1970; None when no known key says.
        forged: why a signature of a known key is not right; None when none is wrong.
    """

    path: Path
    checkpoint: Checkpoint
    signed: bool = False
    time: int | None = None
    forged: str | None = None

    def when(self) -> str:
        """Its size, and its time where it has one, in words."""
        if self.time is None:
            return f"{self.checkpoint.size} entries"
        return f"{self.checkpoint.size} entries at {datetime.fromtimestamp(self.time, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class LedgerState:
    """A ledger as one pass found it.

    Attributes:
        size: whole lines.
        root: the Merkle root of them.
        head: the hash of the last line, 64 hexadecimal digits.
        installation: the id of its installation entry; None when it has none.
        roots: the root of the first lines, by how many, as far as they are there.
    """

    size: int
    root: bytes
    head: str
    installation: str | None
    roots: Mapping[int, bytes] = field(default_factory=dict)


def read_state(ledger: Path, sizes: Iterable[int] = ()) -> LedgerState:
    """Pass over a ledger once.

    Args:
        ledger: the file; a tail without a newline is not looked at.
        sizes: numbers of first lines whose root is wanted.

    Raises:
        EvidenceError: when it is damaged.
        HostError: when it cannot be read.
    """
    wanted, tree = frozenset(sizes), Tree()
    roots: dict[int, bytes] = {}
    installation: list[str] = []

    def add(line: bytes) -> None:
        tree.add(line)
        if tree.size in wanted:
            roots[tree.size] = tree.root()
        if not installation and _INSTALLATION in line:
            entry = object_of_line(line)
            kind, payload = str(entry["type"]), dict(entry["payload"])
            if kind == LedgerEntryType.INSTALLATION and problem(kind, payload, installed=False) is None:
                installation.append(str(payload["installation_id"]))

    found = scan(ledger, LEDGER_LINE, close=True, each=add)
    found.refuse_damage()
    return LedgerState(tree.size, tree.root(), found.link.prev, installation[0] if installation else None, roots)


def contradiction(checkpoint: Checkpoint, state: LedgerState) -> str | None:
    """How a ledger contradicts a checkpoint, in words; None when they agree. The size must be among `read_state`'s."""
    bound = _BOUND.fullmatch(checkpoint.origin)
    if bound is not None and bound[1] != state.installation:
        return f"it is of the installation {bound[1]}, and the ledger is of {state.installation or 'none'}"
    if checkpoint.size > state.size:
        return f"it has {checkpoint.size} entries, and the ledger has {state.size}: entries were cut off its end"
    if state.roots.get(checkpoint.size) != checkpoint.root:
        return f"the first {checkpoint.size} entries of the ledger are not those of it: the ledger was rewritten"
    return None


def find_checkpoints(place: Path) -> list[Path]:
    """The checkpoints of a directory, the smallest first; or the file itself.

    Raises:
        UsageError: when there is nothing of that name.
        HostError: when the directory cannot be read.
    """
    if not place.exists():
        raise UsageError(f"{place} is not there", hint="name a checkpoint, or a directory of checkpoints")
    if not place.is_dir():
        return [place]
    try:
        return sorted(path for path in place.iterdir() if path.suffix == SUFFIX and not path.name.startswith("."))
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error


def keys_beside(folder: Path) -> list[Verifier]:
    """The public keys that lie in a directory of checkpoints; none where there are none.

    Raises:
        EvidenceError: when the file holds something else.
        HostError: when it cannot be read.
    """
    place = folder / PUBLIC
    if not place.exists():
        return []
    return parse_verifiers(read_whole(place, at_most=SMALL).decode("utf-8", "replace"))


def read_kept(path: Path, keys: Sequence[Verifier]) -> Kept:
    """Read a checkpoint and what ``keys`` say of it.

    Raises:
        EvidenceError: when it is none, or speaks of an empty ledger.
        HostError: when it cannot be read.
    """
    data = read_whole(path, at_most=MOST_BYTES, follow=True)
    if b"\n\n" not in data:
        return Kept(path, parse_checkpoint(data.decode("utf-8", "replace")))
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    try:
        signed = check_note(note, keys)
    except EvidenceError as error:
        return Kept(path, checkpoint, forged=error.message)
    return Kept(path, checkpoint, signed=bool(signed.by), time=signed.time)


def newest_kept(folder: Path) -> Kept | None:
    """The newest checkpoint of a witness's directory, with what the keys beside it say; None where there is none.

    Raises:
        UsageError: when the directory is not there.
        EvidenceError: when it is no checkpoint.
        HostError: when something cannot be read.
    """
    own = [path for path in find_checkpoints(folder) if OWN.fullmatch(path.name)]
    return read_kept(max(own, key=lambda path: int(path.stem)), keys_beside(folder)) if own else None
