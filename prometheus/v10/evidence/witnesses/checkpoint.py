r"""Checkpoints of the ledger: a Merkle tree head (RFC 6962) that binds all later ledgers to this one.

A hash chain shows that a ledger fits together; a checkpoint kept elsewhere (a mail, a git tag, another machine) shows
that it is still the same ledger. Leaf: sha256(0x00 || line, newline included); node: sha256(0x01 || left || right).
The text is ``origin\nsize\nroot in base64\n``, as c2sp.org/tlog-checkpoint has it. The host's own checkpoints are
signed notes of it (`evidence.witnesses.witness`); `sign` and `check_signature` are for a person's SSH key.
Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.scan import scan

NAMESPACE = "prometheus-quant-checkpoint"
EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True)
class Checkpoint:
    """A ledger of ``size`` lines had this ``root``. ``origin`` says whose ledger, e.g. ``prometheus-quant/HF``."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are printed, signed and kept."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


class Tree:
    """The root of a growing list in logarithmic memory: one hash for each full subtree, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._full: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append one leaf's data."""
        node = hashlib.sha256(b"\x00" + leaf).digest()
        width = self.size
        while width & 1:
            node = hashlib.sha256(b"\x01" + self._full.pop() + node).digest()
            width >>= 1
        self._full.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root of what was added so far."""
        if not self._full:
            return EMPTY_ROOT
        node = self._full[-1]
        for left in reversed(self._full[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


def take_checkpoint(ledger: Path, *, origin: str) -> Checkpoint:
    """The checkpoint of a ledger as it is now.

    Raises:
        EvidenceError: when the ledger is damaged, or the origin is not one plain line.
        HostError: when it cannot be read.
    """
    if not origin.isprintable() or not origin.strip():
        raise EvidenceError(f"the origin {origin!r} is not one plain line")
    tree = Tree()
    scan(ledger, LEDGER_LINE, close=True, each=tree.add).refuse_damage()
    return Checkpoint(origin, tree.size, tree.root())


def parse_checkpoint(text: str) -> Checkpoint:
    """Read what `Checkpoint.text` wrote; lines after the third are another's business.

    Raises:
        EvidenceError: when it is not a checkpoint.
    """
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
        if size == 0:
            raise ValueError("it is of an empty ledger, and binds nothing")  # noqa: TRY301  (one place that words it)
        if not origin or size < 1 or str(size) != lines[1] or len(root) != hashlib.sha256().digest_size:
            raise ValueError("origin, size or root cannot be meant")  # noqa: TRY301  (one place that words it)
    except (IndexError, ValueError, binascii.Error) as error:
        raise EvidenceError(f"not a checkpoint: {error}", hint="it has three lines: origin, size, root") from error
    return Checkpoint(origin, size, root)


def check_consistency(checkpoint: Checkpoint, ledger: Path) -> int:
    """Check that ``ledger`` still begins with the lines that the checkpoint spoke of; returns how many came since.

    Raises:
        EvidenceError: when the ledger is damaged, shorter, or has another beginning.
        HostError: when it cannot be read.
    """
    tree = Tree()
    at_size: list[bytes] = []

    def add(line: bytes) -> None:
        tree.add(line)
        if tree.size == checkpoint.size:
            at_size.append(tree.root())

    scan(ledger, LEDGER_LINE, close=True, each=add).refuse_damage()
    if not at_size:
        raise EvidenceError(
            f"{ledger} has {tree.size} lines, the checkpoint spoke of {checkpoint.size}: lines are missing",
            hint="the ledger was cut or replaced: look for the copy that the checkpoint was taken from",
        )
    if at_size[0] != checkpoint.root:
        raise EvidenceError(
            f"{ledger}: its first {checkpoint.size} lines are not those of the checkpoint",
            hint="the ledger was rewritten: look for the copy that the checkpoint was taken from",
        )
    return tree.size - checkpoint.size


def sign(file: Path, key: Path) -> Path:
    """Sign a checkpoint's file with an SSH key; the signature lies beside it as ``<file>.sig``.

    Raises:
        HostError: when ssh-keygen is missing or refuses.
    """
    _ssh_keygen(["-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(file)], b"", f"cannot sign {file}")
    return file.with_name(f"{file.name}.sig")


def check_signature(file: Path, signature: Path, *, allowed_signers: Path, identity: str) -> None:
    """Check a signature against an ``allowed_signers`` file (ssh-keygen(1)).

    Raises:
        EvidenceError: when the signature is not by ``identity``, or not of this file.
        HostError: when ssh-keygen or a file is missing.
    """
    for needed in (file, signature, allowed_signers):
        if not needed.is_file():
            raise HostError(f"{needed} is not there")
    arguments = ["-Y", "verify", "-f", str(allowed_signers), "-I", identity, "-n", NAMESPACE, "-s", str(signature)]
    try:
        _ssh_keygen(arguments, file.read_bytes(), f"{signature} does not sign {file} for {identity}")
    except _RefusedError as error:
        raise EvidenceError(
            error.message, hint="the checkpoint or its signature was changed, or another key made it"
        ) from None


class _RefusedError(HostError):
    """ssh-keygen ran and said no."""


def _ssh_keygen(arguments: list[str], data: bytes, what: str) -> None:
    try:
        done = subprocess.run(["ssh-keygen", *arguments], input=data, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise HostError(f"{what}: ssh-keygen is not installed", hint="install openssh-client") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise _RefusedError(f"{what}: {said[-1]}")
