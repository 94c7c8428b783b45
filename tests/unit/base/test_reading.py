"""Files that somebody else wrote: no link is followed, nothing is waited for, no reader takes more than it allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.reading import is_regular, open_regular, read_whole
from prometheus.v10.base.text import printable


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert read_whole(tmp_path / "file", at_most=3) == b"abc"
    assert is_regular(tmp_path / "file")


def test_a_file_with_one_byte_too_many_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcd")
    with pytest.raises(EvidenceError, match="more than 3 bytes"):
        read_whole(tmp_path / "file", at_most=3)


def test_a_sparse_terabyte_costs_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(EvidenceError, match="holds more than"):
        read_whole(tmp_path / "file", at_most=1 << 20)


@pytest.mark.parametrize("kind", ["fifo", "link", "dangling", "directory", "device", "socket"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "link":
        (tmp_path / "target").write_bytes(b"abc")
        place.symlink_to(tmp_path / "target")
    elif kind == "dangling":
        place.symlink_to(tmp_path / "nowhere")
    elif kind == "directory":
        place.mkdir()
    elif kind == "device":
        place = Path("/dev/zero")
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.fspath(place))
    with pytest.raises(EvidenceError):
        read_whole(place, at_most=10)
    assert not is_regular(place)


def test_a_link_that_the_user_typed_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"abc")
    (tmp_path / "place").symlink_to(tmp_path / "target")
    os.close(open_regular(tmp_path / "place", follow=True))


def test_what_is_not_there_is_a_fault_of_the_host(tmp_path: Path) -> None:
    with pytest.raises(HostError):
        read_whole(tmp_path / "nothing", at_most=10)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nPASS", "a\\x0aPASS"),
        ("\u202egnp", "\\u202egnp"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
        ("\udcff", "\\udcff"),
        ("\U000e0001", "\\U000e0001"),
        ("Zürich 上海", "Zürich 上海"),
        ("x" * 1001, "x" * 1000 + "... (1001 characters)"),
    ],
)
def test_what_moves_a_terminal_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown
