"""TOML that somebody else wrote is a table or one clear error."""

from __future__ import annotations

import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.toml import parse_toml


def test_a_byte_order_mark_is_no_part_of_it() -> None:
    assert parse_toml(b'\xef\xbb\xbfmode = "offline"\n', "x.toml") == {"mode": "offline"}


@pytest.mark.parametrize(
    "data",
    [b"mode =", b"\xff", b"n = " + b"9" * 5000, b"n = " + b"[" * 100_000, b"a = 1\na = 2", b"\0", b"d = 9999-99-99"],
    ids=["cut off", "no UTF-8", "a number of 5000 digits", "nested", "twice", "NUL", "no date"],
)
def test_what_is_no_toml_is_one_line_with_its_name(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^x\.toml: not TOML: ") as caught:
        parse_toml(data, "x.toml")
    assert "\n" not in caught.value.message
