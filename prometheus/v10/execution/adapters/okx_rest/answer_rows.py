"""Fields of the exchange's rows: text made into Decimal and int. '' is unknown, which is None and never 0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from prometheus.v10.execution.ports.exchange_errors import AnswerError

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_DIGITS: Final = re.compile(r"[0-9]{1,40}")

Row = Mapping[str, Any]


def text(row: Row, name: str) -> str:
    """A text field; '' where the exchange has nothing to say.

    Raises:
        AnswerError: when the field is missing or no text.
    """
    value = row.get(name)
    if not isinstance(value, str):
        raise AnswerError(f"{name} is {value!r}, not text"[:200])
    return value


def named(row: Row, name: str) -> str:
    """A text field that must say something.

    Raises:
        AnswerError: when it is missing or ''.
    """
    value = text(row, name)
    if not value:
        raise AnswerError(f"{name} is empty")
    return value


def maybe(row: Row, name: str) -> Decimal | None:
    """A number, or None for ''.

    Raises:
        AnswerError: when it is missing, or no plain decimal number written as text.
    """
    value = text(row, name)
    if value == "":
        return None
    if _NUMBER.fullmatch(value) is None:
        raise AnswerError(f"{name} is {value!r}, not a number"[:200])
    return Decimal(value)


def number(row: Row, name: str) -> Decimal:
    """A number that must be told.

    Raises:
        AnswerError: when it is missing, '' or no number.
    """
    value = maybe(row, name)
    if value is None:
        raise AnswerError(f"{name} is empty: the exchange does not tell it")
    return value


def digits(row: Row, name: str) -> str:
    """An id of digits, kept as text.

    Raises:
        AnswerError: when it is anything else.
    """
    value = text(row, name)
    if _DIGITS.fullmatch(value) is None:
        raise AnswerError(f"{name} is {value!r}, not digits"[:200])
    return value


def count(row: Row, name: str) -> int:
    """A whole number that must be told, e.g. Unix ms.

    Raises:
        AnswerError: when it is anything else.
    """
    return int(digits(row, name))


def maybe_count(row: Row, name: str) -> int | None:
    """A whole number, or None for ''.

    Raises:
        AnswerError: when it is anything else.
    """
    return None if text(row, name) == "" else count(row, name)


def flag(row: Row, name: str) -> bool:
    """A flag, written as a boolean or as text.

    Raises:
        AnswerError: when it is neither.
    """
    value = row.get(name)
    if value in {True, "true"}:
        return True
    if value in {False, "false"}:
        return False
    raise AnswerError(f"{name} is {value!r}, neither true nor false"[:200])


def plain(value: Decimal) -> str:
    """A number as the exchange reads it: no exponent, no zeros at the end."""
    spelled = format(value, "f")
    return spelled.rstrip("0").rstrip(".") if "." in spelled else spelled
