"""Signed notes (c2sp.org/signed-note): a text, a blank line, and a line for each signature.

Two kinds of signature are made and checked, both Ed25519: ``LOG`` signs the text, ``COSIGNED`` the text and a time
(c2sp.org/tlog-cosignature). A line of a key that is not known here says nothing, as the form demands, so that public
witnesses may add theirs. Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.witnesses import ed25519

LOG = 1
COSIGNED = 4
MOST_BYTES = 1 << 16
"""Bytes that a note may have; a checkpoint with 16 signatures has two thousand."""

_MOST_SIGNATURES = 64
_DASH = "\N{EM DASH} "
_SECRET = "PRIVATE+KEY+"  # noqa: S105  (the form's own words before a secret, not a secret)
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,256}")
_ID_BYTES, _TIME_BYTES = 4, 8
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999: a later time is not meant, and no calendar can print it."""


@dataclass(frozen=True)
class Verifier:
    """A public key: its name, whether it signs as ``LOG`` or ``COSIGNED``, and 32 bytes."""

    name: str
    kind: int
    key: bytes

    @property
    def id(self) -> bytes:
        """Four bytes by which a signature's line names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:_ID_BYTES]

    def text(self) -> str:
        """The key as its line, ``name+id+key``."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes([self.kind]) + self.key)}"


@dataclass(frozen=True)
class Signer:
    """A secret key of 32 bytes and its name."""

    name: str
    seed: bytes

    def verifiers(self) -> list[Verifier]:
        """Its public key as that of both kinds of signature."""
        key = ed25519.public_key(self.seed)
        return [Verifier(self.name, LOG, key), Verifier(self.name, COSIGNED, key)]

    def text(self) -> str:
        """The secret as its line."""
        (log, _) = self.verifiers()
        return f"{_SECRET}{self.name}+{log.id.hex()}+{_base64(bytes([LOG]) + self.seed)}"


@dataclass(frozen=True)
class Note:
    """A note that was read: its text, and the signatures by name, four bytes of id, and what follows them."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True)
class Signed:
    """What known keys say of a note.

    Attributes:
        by: the names of known keys whose signature is right.
        time: the latest time that one of them signed, in seconds since 1970; None when none signed a time.
    """

    by: tuple[str, ...]
    time: int | None


def is_key_name(name: str) -> bool:
    """Whether a key may be called so: no space, no plus, no control character."""
    return _NAME.fullmatch(name) is not None


def sign_note(text: str, signer: Signer, *, time: int) -> bytes:
    """The note of ``text``, which ends with a newline, signed twice by ``signer``: as it is, and with ``time``.

    Args:
        text: what is signed.
        signer: the key.
        time: seconds since 1970.
    """
    log, cosigned = signer.verifiers()
    plain = ed25519.sign(signer.seed, text.encode())
    timed = time.to_bytes(_TIME_BYTES, "big") + ed25519.sign(signer.seed, _timed(text, time))
    lines = [f"{_DASH}{key.name} {_base64(key.id + data)}\n" for key, data in ((log, plain), (cosigned, timed))]
    return f"{text}\n{''.join(lines)}".encode()


def parse_note(data: bytes) -> Note:
    """Read a note; no signature is checked.

    Raises:
        EvidenceError: when it is none.
    """
    try:
        whole = data.decode("utf-8")
        if len(data) > MOST_BYTES or any(ord(one) < 0x20 and one != "\n" for one in whole):
            raise ValueError("it is too long, or has control characters")  # noqa: TRY301  (one place that words it)
        text, blank, rest = whole.rpartition("\n\n")
        lines = rest.split("\n")
        if not blank or not text or lines.pop() != "" or not 1 <= len(lines) <= _MOST_SIGNATURES:
            raise ValueError("it has no text, a blank line and signatures")  # noqa: TRY301
        return Note(f"{text}\n", tuple(map(_signature, lines)))
    except (UnicodeDecodeError, ValueError) as error:
        raise EvidenceError(f"not a signed note: {error}", hint="c2sp.org/signed-note says how one looks") from error


def check_note(note: Note, known: Iterable[Verifier]) -> Signed:
    """Who of ``known`` signed a note. Nobody: `Signed.by` is empty.

    Raises:
        EvidenceError: when a line names a known key, and its signature is not that key's.
    """
    keys = {(one.name, one.id): one for one in known}
    by: list[str] = []
    times: list[int] = []
    for name, key_id, data in note.signatures:
        key = keys.get((name, key_id))
        if key is None:
            continue
        message = note.text.encode()
        if key.kind == COSIGNED:
            time, data = int.from_bytes(data[:_TIME_BYTES], "big"), data[_TIME_BYTES:]  # noqa: PLW2901
            message = _timed(note.text, time)
            times.append(time)
        if not ed25519.verify(key.key, message, data) or max(times, default=0) > _LAST_SECOND:
            raise EvidenceError(
                f"the signature of {printable(name)} is not right",
                hint="the note was changed after it was signed: look for the copy that was handed on",
            )
        by.append(name)
    return Signed(tuple(dict.fromkeys(by)), max(times, default=None))


def parse_verifiers(text: str) -> list[Verifier]:
    """Public keys, a line each as `Verifier.text` writes them.

    Raises:
        EvidenceError: when a line is no such key.
    """
    return [_key(line) for line in text.splitlines() if line.strip()]


def parse_signer(text: str) -> Signer:
    """A secret key as `Signer.text` writes it.

    Raises:
        EvidenceError: when it is none, or its id is not its own; the message holds nothing of it.
    """
    if text.startswith(_SECRET):
        try:
            found = _key(text.removeprefix(_SECRET).rstrip("\n"), check_id=False)
            signer = Signer(found.name, found.key)
            if signer.text() == text.rstrip("\n"):
                return signer
        except EvidenceError:
            pass
    raise EvidenceError("not a secret key of a signed note", hint="it is made by the first checkpoint")


def _key(line: str, *, check_id: bool = True) -> Verifier:
    try:
        name, key_id, data = line.split("+", 2)
        raw = base64.b64decode(data, validate=True)
        if len(raw) != 1 + ed25519.KEY_BYTES or raw[0] not in {LOG, COSIGNED} or not is_key_name(name):
            raise ValueError("no Ed25519 key of a name")  # noqa: TRY301  (one place that words it)
        found = Verifier(name, raw[0], raw[1:])
        if check_id and found.id.hex() != key_id:
            raise ValueError("its id is not its own")  # noqa: TRY301
    except (ValueError, binascii.Error) as error:
        raise EvidenceError(
            "not a public key of a signed note: name+id+key", hint="look for the checkpoint.pub of the installation"
        ) from error
    return found


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, data = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not is_key_name(name):
        raise ValueError("a signature's line has a dash, a name and the signature")
    raw = base64.b64decode(data, validate=True)
    if len(raw) <= _ID_BYTES:
        raise ValueError("a signature is too short")
    return name, raw[:_ID_BYTES], raw[_ID_BYTES:]


def _timed(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
