"""One difference between the libraries: what the log says of it, and the samples that show it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

COSMETIC: Final = "S0"
DATA: Final = "S1"
MONEY: Final = "S2"
ORDERS: Final = "S3"
LONGEST: Final = 500
"""Characters of a sample."""


@frozen(kw_only=True)
class Difference:
    """One difference.

    Attributes:
        key: names it for good: the log has each once.
        severity: S0 cosmetic, S1 quality of data, S2 of a position or of money, S3 orders may go wrong.
        done: what the adapters do about it.
        samples: a text of each side, without secrets and without whose account it is.
    """

    key: str
    what: str
    ccxt: str
    native: str
    severity: str
    done: str
    samples: tuple[str, str]


def sample(text: object) -> str:
    """A text as the log holds it: printable lines, no fence of a block, and cut."""
    said = "".join(one if one.isprintable() or one == "\n" else "?" for one in str(text).strip())
    said = said.replace("`" * 3, "'" * 3)
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}... ({len(said)} characters)"
