r"""Text that somebody else wrote, made safe to print.

A file's name, a manifest's key or a header may hold control characters that move a terminal's cursor, or bidirectional
controls that reorder what a reader sees. `printable` shows them instead: ``\x1b``, ``\u202e``. Standard library only.
"""

from __future__ import annotations

LONGEST = 1000
"""Characters that one foreign string may take of a line."""


def printable(text: str, *, longest: int = LONGEST) -> str:
    r"""Return ``text`` with every character that is not plainly visible written as an escape, cut to ``longest``.

    A backslash stays as it is. Line feeds, escapes, surrogates, unassigned characters, bidirectional controls and zero
    width characters become ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.
    """
    shown = text if text.isascii() and text.isprintable() else "".join(map(_shown, text[: longest + 1]))
    return shown if len(shown) <= longest else f"{shown[:longest]}... ({len(text)} characters)"


def _shown(character: str) -> str:
    # str.isprintable is False for every control, format, surrogate, private and unassigned character, and for every
    # separator but the space.
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
