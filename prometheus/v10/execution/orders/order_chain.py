"""The write-ahead chain ``order_chain.jsonl``: one writer, hash-chained, every append durable before it returns.

An order's INTENT is on the disk before its request leaves; what became of it follows. A process that is killed between
any two lines finds, on opening, which orders are open, and asks the exchange about each before it does anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.files import FILES, Files, Lock
from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.exchanged.order_line import (
    OF_NO_ORDER,
    ORDER_LINE,
    Kind,
    order_line,
    payload_problem,
)
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.chains.tail import OnTornTail, open_chain
from prometheus.v10.evidence.records.canonical import object_of_line
from prometheus.v10.execution.orders.order_states import IllegalMoveError, OrderStates
from prometheus.v10.execution.ports.exchange_errors import AnswerError
from prometheus.v10.execution.ports.order_terms import Fill, PreparedOrder

LOCK_SUFFIX: Final = ".lock"


class OrderChain:
    """The one writer of a chain; `states` is what its lines say."""

    def __init__(
        self, path: Path, *, clock: Clock, on_torn: OnTornTail, files: Files = FILES, lock: Path | None = None
    ) -> None:
        """Open or begin the chain: take its lock, check every line, move a torn tail aside, follow every order.

        Args:
            path: of the chain.
            clock: gives the time of each line.
            on_torn: hears of a torn tail.
            files: the file layer.
            lock: where its lock lies; beside the chain by default.

        Raises:
            LockHeldError: when another process writes it.
            EvidenceError: when anything but a torn tail is wrong; the file is untouched.
            HostError: when the disk refuses.
        """
        self.path = path
        self._clock = clock
        self.states = OrderStates()
        place = path.with_name(path.name + LOCK_SUFFIX) if lock is None else lock
        self._lock = Lock(place, who="the order chain's writer", files=files)
        self._lock.acquire()
        try:
            self._file, found = open_chain(path, ORDER_LINE, clock=clock, files=files, on_torn=on_torn)
            self._link: Link = found.link
            try:
                self.states = followed(path)
            except BaseException:
                self._file.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    @property
    def entries(self) -> int:
        """How many lines the chain has."""
        return self._link.n

    @property
    def head(self) -> str:
        """sha256 of the last line; 64 zeros for an empty chain."""
        return self._link.prev

    @property
    def size(self) -> int:
        """Bytes of the chain."""
        return self._file.size

    def append(self, *entries: tuple[Kind, str, Mapping[str, Any]]) -> None:
        """Append lines (kind, client id, payload) in one write, durable on return: all of them, or none.

        Raises:
            EvidenceError: for a line that may not follow or whose fields are wrong; nothing is written.
            HostError: when the disk refuses; nothing of it counts, and the order's truth must be asked for.
        """
        lines: list[bytes] = []
        link, now = self._link, utc_text(self._clock.now())
        try:
            for kind, client_id, payload in entries:
                lines.append(self._next(kind, client_id, payload, link=link, ts_utc=now))
                link = after(lines[-1], link.n)
            self._file.append_durable(lines)
        except IllegalMoveError as error:
            self._take_back(len(lines))
            raise EvidenceError(f"{self.path}: refused: {error}", hint="nothing was written; this is a bug") from error
        except BaseException:
            self._take_back(len(lines))
            raise
        self._link = link

    def _next(self, kind: Kind, client_id: str, payload: Mapping[str, Any], *, link: Link, ts_utc: str) -> bytes:
        """The bytes of a line that may follow; `states` has taken it then.

        Raises:
            IllegalMoveError: when it may not, or its fields are wrong.
        """
        if (what := payload_problem(kind, payload)) is not None:
            raise IllegalMoveError(what)
        if (client_id == "") != (kind in OF_NO_ORDER):
            raise IllegalMoveError(f"{kind.value} {'with' if client_id else 'without'} a client id")
        self.states.check(kind, client_id, payload)
        # The line is right by how it is made; reading it back would double the time between decision and wire.
        line = order_line(kind, client_id, payload, link=link, ts_utc=ts_utc)
        self.states.apply(kind, client_id, payload)
        return line

    def _take_back(self, taken: int) -> None:
        """After a failed append the lines that hold are those on the disk."""
        if taken:
            self.states = followed(self.path, lines=self._link.n)

    def close(self) -> None:
        """Close the file and give the lock back."""
        try:
            self._file.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()


def followed(
    path: Path, *, lines: int | None = None, each: Callable[[dict[str, Any]], None] | None = None
) -> OrderStates:
    """What a chain says: every rule of every line checked, and every move of every order.

    Args:
        path: the chain.
        lines: how many lines to follow; all by default.
        each: called with every entry.

    Raises:
        EvidenceError: at the first line that breaks a rule or may not follow, with its number.
        HostError: when it cannot be read.
    """
    states, count = OrderStates(), 0

    def take(line: bytes) -> None:
        nonlocal count
        if lines is not None and count >= lines:
            return
        entry = object_of_line(line)
        kind = Kind(entry["kind"])
        try:
            states.check(kind, entry["client_id"], entry["payload"])
        except IllegalMoveError as error:
            hint = "the chain was not written by this program, or by two at once"
            raise EvidenceError(f"{path}: line {count + 1}: {error}", hint=hint) from error
        states.apply(kind, entry["client_id"], entry["payload"])
        count += 1
        if each is not None:
            each(entry)

    found = scan(path, ORDER_LINE, close=True, each=take)
    if lines is None or count < lines:
        found.refuse_damage()
    return states


# ---- payloads --------------------------------------------------------------------------------------------------------


def intent_of(
    prepared: PreparedOrder,
    *,
    run_id: str,
    tick: int,
    attempt: int,
    purpose: str,
    parts: list[tuple[str, int]],
    planned_ms: int,
) -> dict[str, Any]:
    """The payload of an INTENT: the order, its bytes, and which agents want how many lots of it (signed)."""
    asked = prepared.request
    priced = {} if asked.price_ticks is None else {"price_ticks": asked.price_ticks}
    return {
        "run_id": run_id, "tick": tick, "attempt": attempt, "purpose": purpose, "inst_id": asked.inst_id,
        "side": asked.side.value, "order_type": asked.order_type.value, "lots": asked.lots,
        "reduce_only": asked.reduce_only, "margin_mode": asked.margin_mode.value, "stp_mode": asked.stp_mode.value,
        "tag": asked.tag, "path": prepared.path, "body": prepared.body.decode("ascii"),
        "body_sha256": prepared.sha256, "parts": [[agent, lots] for agent, lots in parts], "planned_ms": planned_ms,
        "expire_ms": asked.expire_ms, **priced,
    }  # fmt: skip


def fill_of(fill: Fill) -> dict[str, Any]:
    """The payload of a FILL.

    Raises:
        AnswerError: when its price is no whole number of ticks, which no order of ours can have been filled at.
    """
    if fill.price_ticks is None:
        raise AnswerError(f"trade {fill.trade_id} of order {fill.order_id} is at {fill.price}, between two ticks")
    return {
        "inst_id": fill.inst_id, "trade_id": fill.trade_id, "order_id": fill.order_id, "bill_id": fill.bill_id,
        "side": fill.side.value, "lots": fill.lots, "price_ticks": fill.price_ticks, "fee": format(fill.fee, "f"),
        "fee_currency": fill.fee_currency, "exec_type": fill.exec_type, "ts_ms": fill.ts_ms,
    }  # fmt: skip
