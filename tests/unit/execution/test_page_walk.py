"""A walk over pages has every row once, whatever the pages hold and however often it waits for our own bucket."""

from __future__ import annotations

import pytest

from prometheus.v10.execution.adapters.okx_rest import page_walk
from prometheus.v10.execution.adapters.okx_rest.page_walk import STALE_MS, PageWalk, PageWalks
from prometheus.v10.execution.ports.exchange_errors import AnswerError, RateLimitedError
from prometheus.v10.execution.truth.asking_again import patiently


class Account:
    """Rows 1 to ``rows``, in pages of ``size``, of which ``each`` are given away before somebody must wait a second."""

    def __init__(self, rows: int, size: int, each: int) -> None:
        self.rows, self.size, self.each = rows, size, each
        self.now, self.tokens, self.asked = 0, each, 0

    def now_ms(self) -> int:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += int(seconds * 1000) + 1
        self.tokens = self.each

    def fetch(self, after: str | None) -> list[dict[str, str]]:
        if not self.tokens:
            raise RateLimitedError("all are given away", wait_s=1.0)
        self.tokens -= 1
        self.asked += 1
        newest = self.rows if after is None else int(after) - 1
        return [{"id": str(n)} for n in range(newest, max(0, newest - self.size), -1)]

    def all_ids(self, until: str | None = None) -> list[int]:
        walks = PageWalks(self.now_ms)
        found = patiently(lambda: walks.walk("rows", self.fetch, "id", until=until), self.pause)
        return [int(row["id"]) for row in found]


@pytest.mark.parametrize("each", [2, 3, 4, 1000])
@pytest.mark.parametrize("size", [2, 3, 100])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 99, 100, 101, 450])
def test_every_row_comes_once_through_any_bucket(rows: int, size: int, each: int) -> None:
    assert Account(rows, size, each).all_ids() == list(range(rows, 0, -1))
    assert Account(rows, size, each).all_ids(until="1" if rows else None) == list(range(rows, 1, -1))


def test_a_page_that_is_there_is_not_asked_again_after_a_wait() -> None:
    hasty, patient = Account(2000, 100, 1000), Account(2000, 100, 4)
    assert hasty.all_ids() == patient.all_ids()
    assert patient.asked <= hasty.asked + hasty.asked // 4


def test_a_walk_that_was_left_alone_begins_anew() -> None:
    account = Account(500, 100, 4)
    walks = PageWalks(account.now_ms)
    with pytest.raises(RateLimitedError):
        walks.walk("rows", account.fetch, "id")
    account.rows = 501
    account.pause(STALE_MS / 1000 + 1)
    with pytest.raises(RateLimitedError):
        walks.walk("rows", account.fetch, "id")
    account.pause(1)
    found = patiently(lambda: walks.walk("rows", account.fetch, "id"), account.pause)
    assert [int(row["id"]) for row in found] == list(range(501, 0, -1))


def test_walks_that_ask_for_different_things_do_not_mix() -> None:
    few, many = Account(3, 2, 1), Account(500, 100, 4)
    walks = PageWalks(many.now_ms)
    with pytest.raises(RateLimitedError):
        walks.walk("many", many.fetch, "id")
    with pytest.raises(RateLimitedError):
        walks.walk("few", few.fetch, "id")
    few.tokens = many.tokens = 1000
    assert len(walks.walk("few", few.fetch, "id")) == 3
    assert len(walks.walk("many", many.fetch, "id")) == 500


def test_a_row_that_was_there_and_is_missing_refuses_the_walk() -> None:
    account = Account(300, 100, 1000)

    def without_row_150(after: str | None) -> list[dict[str, str]]:
        return [row for row in account.fetch(after) if row["id"] != "150"]

    with pytest.raises(AnswerError, match="row 150 was there before and is missing now"):
        PageWalk("id", "150").go(without_row_150)


def test_pages_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_walk, "MOST_PAGES", 5)
    with pytest.raises(AnswerError, match="do not end after 5"):
        PageWalk("id").go(Account(10_000, 100, 1000).fetch)
