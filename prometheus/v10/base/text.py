"""Foreign text made safe to print. Standard library only."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""``text`` with every character that is not printable escaped as ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    Control characters, line ends, bidirectional controls and lone surrogates are escaped; spaces stay.
    """
    return "".join(char if char.isprintable() else _escaped(ord(char)) for char in text)


def _escaped(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
