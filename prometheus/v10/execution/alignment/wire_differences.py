"""Differences on the wire and in what our types say of it: two passes through the same steps, held together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from attrs import frozen

from prometheus.v10.execution.alignment.aligned_intents import StepSaid
from prometheus.v10.execution.alignment.differences import COSMETIC, DATA, ORDERS, Difference, sample
from prometheus.v10.execution.alignment.wire_tap import Spoken
from prometheus.v10.execution.kept.whose_account import without_whose

END: Final = b"\r\n\r\n"
SECRET: Final = {"ok-access-key": "<key>", "ok-access-passphrase": "<passphrase>", "ok-access-sign": "<signature>"}
PLACE: Final = {"host": "<venue>"}
CLOCKS: Final = frozenset({"inTime", "outTime"})
BY_BOTH: Final = "nothing: the exchange takes both"
NEITHER: Final = "none"
BYTES: Final = "the order chain holds the bytes of the library that sends, and they are what is sent"


@frozen(kw_only=True)
class Heard:
    """One exchange of the wire, read: without secrets, and without the place.

    Attributes:
        headers: as they came, names as they were written.
        answer: parsed, without clocks and without whose account it is; None where no JSON came.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str
    status: str
    answer: Any

    @property
    def path(self) -> str:
        """Without its query."""
        return self.target.partition("?")[0]

    def text(self) -> str:
        """The request, one line after the other."""
        return "\n".join([f"{self.method} {self.target}", *(f"{n}: {v}" for n, v in self.headers), "", self.body])


def heard(spoken: Spoken) -> Heard:
    """An exchange, read."""
    head, _, body = bytes(spoken.request).partition(END)
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target = first.split(" ")[:2]
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    hidden = {**SECRET, **PLACE}
    top, _, said = bytes(spoken.answer).partition(END)
    try:
        answer = without_whose(_without_clocks(json.loads(said)))
    except ValueError:
        answer = None
    return Heard(
        method=method, target=target, headers=tuple((name, hidden.get(name.lower(), value)) for name, value in pairs),
        body=body.decode("utf-8", "replace"), status=top.decode("latin-1").partition("\r\n")[0], answer=answer,
    )  # fmt: skip


def _without_clocks(envelope: Any) -> Any:
    if not isinstance(envelope, dict):
        return envelope
    return {name: one for name, one in envelope.items() if name not in CLOCKS}


def wire_differences(native: list[StepSaid], ccxt: list[StepSaid]) -> Iterator[Difference]:
    """What differs between two passes, each difference once."""
    seen: set[str] = set()
    for ours, theirs in zip(native, ccxt, strict=True):
        for one in _of_step(ours, theirs):
            if one.key not in seen:
                seen.add(one.key)
                yield one


def _of_step(native: StepSaid, ccxt: StepSaid) -> Iterator[Difference]:
    if native.meaning != ccxt.meaning:
        yield Difference(
            key=f"meaning.{native.name}", what=f"what our types say of: {native.name}", ccxt="another", native="one",
            severity=ORDERS, done="this must not be: the two adapters fulfil one interface",
            samples=(sample(native.meaning), sample(ccxt.meaning)),
        )  # fmt: skip
    for first, second in zip_longest(map(heard, native.spoken), map(heard, ccxt.spoken)):
        if first is None or second is None:
            yield Difference(
                key=f"wire.requests.{native.name}", what=f"how many requests a step takes: {native.name}",
                ccxt=str(len(ccxt.spoken)), native=str(len(native.spoken)), severity=ORDERS,
                done="this must not be: a request is sent once",
                samples=(sample(first and first.text()), sample(second and second.text())),
            )  # fmt: skip
            continue
        yield from _of_request(first, second)


def _of_request(native: Heard, ccxt: Heard) -> Iterator[Difference]:
    texts = sample(native.text()), sample(ccxt.text())
    if (native.method, native.target) != (ccxt.method, ccxt.target):
        yield Difference(
            key=f"wire.target.{native.path}", what="address of a request", ccxt=f"`{ccxt.method} {ccxt.target}`",
            native=f"`{native.method} {native.target}`", severity=ORDERS,
            done="this must not be: both are held to what was asked", samples=texts,
        )  # fmt: skip
    yield from _of_headers(native, ccxt, texts)
    if native.body != ccxt.body:
        yield from _of_body(native, ccxt)
    if (native.status, native.answer) != (ccxt.status, ccxt.answer):
        yield Difference(
            key=f"wire.answer.{native.method} {native.path}", what=f"answer to `{native.method} {native.path}`",
            ccxt=f"`{ccxt.status}`, other fields or values", native=f"`{native.status}`", severity=ORDERS,
            done="look at the samples: the same request on the same venue has one answer",
            samples=(sample(json.dumps(native.answer)), sample(json.dumps(ccxt.answer))),
        )  # fmt: skip


def _of_headers(native: Heard, ccxt: Heard, texts: tuple[str, str]) -> Iterator[Difference]:
    ours, theirs = _by_name(native), _by_name(ccxt)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            signing = name.startswith("ok-access") or name in {"x-simulated-trading", "exptime"}
            yield Difference(
                key=f"wire.header.{name}.{native.method}", what=f"header `{name}` of a {native.method}",
                ccxt=_quoted(theirs.get(name)), native=_quoted(ours.get(name)),
                severity=ORDERS if signing else COSMETIC,
                done="this must not be: it decides what is done" if signing else BY_BOTH, samples=texts,
            )  # fmt: skip
    spelt = [[name for name, _ in one.headers if name.lower() in ours.keys() & theirs.keys()] for one in (native, ccxt)]
    if spelt[0] != spelt[1]:
        yield Difference(
            key=f"wire.header-names.{native.method}", what=f"order and case of the headers of a {native.method}",
            ccxt=", ".join(spelt[1]), native=", ".join(spelt[0]), severity=COSMETIC, done=BY_BOTH, samples=texts,
        )  # fmt: skip


def _by_name(one: Heard) -> dict[str, str]:
    return {name.lower(): value for name, value in one.headers}


def _quoted(value: str | None) -> str:
    return NEITHER if value is None else f"`{value}`"


def _of_body(native: Heard, ccxt: Heard) -> Iterator[Difference]:
    ours, theirs = _parsed(native.body), _parsed(ccxt.body)
    path = native.path
    texts = sample(native.body), sample(ccxt.body)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            yield Difference(
                key=f"wire.body.{path}.{name}", what=f"field `{name}` of the body of `{path}`",
                ccxt=_quoted(_told(theirs, name)), native=_quoted(_told(ours, name)), severity=ORDERS,
                done="this must not be: both are held to what was asked", samples=texts,
            )  # fmt: skip
    if list(ours) != list(theirs):
        yield Difference(
            key=f"wire.body-order.{path}", what=f"order of the fields in the body of `{path}`",
            ccxt=", ".join(theirs), native=", ".join(ours), severity=COSMETIC, done=BYTES, samples=texts,
        )  # fmt: skip
    yield Difference(
        key="wire.body-spelling", what="spelling of a body, and so its length, its sha256 and its signature",
        ccxt="JSON without spaces", native="JSON with a space behind each comma and colon", severity=DATA, done=BYTES,
        samples=texts,
    )  # fmt: skip


def _parsed(body: str) -> Mapping[str, Any]:
    found = json.loads(body or "{}")
    return found if isinstance(found, dict) else {"": found}


def _told(fields: Mapping[str, Any], name: str) -> str | None:
    return json.dumps(fields[name]) if name in fields else None
