"""One call from request to verdict: bucket, transport, status, content type, envelope, code; and its record.

Before JSON is read, status and content type are looked at. What a code proves is in `okx_codes`; a POST that brought
anything but a readable envelope with a known code is an unknown outcome, a read that did so brought nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from attrs import define, field

from prometheus.v10.execution.adapters.okx_rest.okx_codes import REACTIONS, Reaction
from prometheus.v10.execution.adapters.okx_rest.request_buckets import RequestBuckets
from prometheus.v10.execution.adapters.okx_rest.rest_transport import (
    RestAnswer,
    RestRequest,
    RestTransport,
    TransportError,
)
from prometheus.v10.execution.ports.call_records import CallOutcome, CallRecord, CallSink
from prometheus.v10.execution.ports.exchange_errors import (
    AnswerError,
    MisconfiguredError,
    NotSentError,
    OrderRefusedError,
    OutcomeUnknownError,
    UnavailableError,
)

BASE: Final = "/api/v5/"
JSON: Final = "application/json"
_PUBLIC: Final = ("public/", "market/", "system/")


@define
class Caller:
    """Makes calls of one adapter, one after the other.

    Attributes:
        transport: the sender.
        now_ms: the exchange's clock as we know it, Unix ms.
        sink: hears of every call that left.
    """

    transport: RestTransport
    now_ms: Callable[[], int]
    sink: CallSink
    stopwatch: Callable[[], float] = time.monotonic
    buckets: RequestBuckets = field(init=False)
    _number: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.buckets = RequestBuckets(self.now_ms)

    def read(self, path: str, **parameters: str) -> list[Any]:
        """The ``data`` of a read.

        Raises:
            RateLimitedError: our bucket is empty; nothing was sent.
            UnavailableError: no answer, or one that proves nothing; ``code`` names a refusal of the exchange.
            MisconfiguredError: keys, mode or parameters are wrong.
        """
        given = {name: value for name, value in parameters.items() if value != ""}
        self.buckets.take("GET", path, given)
        # Values are ids, names and numbers; a comma stays as it is, since it is signed as sent.
        request = RestRequest(method="GET", path=BASE + path, query=urlencode(given, safe=","), body=b"",
                              expire_ms=None, signed=not path.startswith(_PUBLIC))  # fmt: skip
        return self._judged(request, self._read_verdict)

    def post(self, path: str, body: bytes, *, expire_ms: int | None = None) -> dict[str, Any]:
        """The one item of a POST that the exchange accepted.

        Raises:
            RateLimitedError: our bucket is empty; nothing was sent.
            NotSentError: no connection; nothing was sent.
            OrderRefusedError: proved: nothing was done.
            OutcomeUnknownError: everything else.
        """
        self.buckets.take("POST", path, json.loads(body))
        request = RestRequest(method="POST", path=BASE + path, query="", body=body, expire_ms=expire_ms, signed=True)
        rows = self._judged(request, self._post_verdict)
        return dict(rows[0])

    def _judged(
        self, request: RestRequest, verdict: Callable[[str, RestAnswer], tuple[CallOutcome, str, Any]]
    ) -> list[Any]:
        self._number += 1
        started, began = self.now_ms(), self.stopwatch()
        what = f"{request.method} {request.path}"
        answer: RestAnswer | None = None
        outcome, code, found = CallOutcome.UNKNOWN, "", None
        try:
            answer = self.transport.exchange(request)
            outcome, code, found = verdict(what, answer)
        except TransportError as error:
            code = error.name
            outcome, found = self._lost(request, what, error)
        except BaseException as error:
            code = type(error).__name__
            raise
        finally:
            self._record(request, answer, outcome, code, started, (self.stopwatch() - began) * 1000)
        if isinstance(found, Exception):
            raise found
        return list(found)

    def _lost(self, request: RestRequest, what: str, error: TransportError) -> tuple[CallOutcome, Exception]:
        said = self.transport.redacted(str(error))
        if not error.sent:
            return CallOutcome.UNAVAILABLE, NotSentError(f"{what}: no connection: {said}", code=error.name)
        if request.method == "GET":
            return CallOutcome.UNAVAILABLE, UnavailableError(f"{what}: no answer: {said}", code=error.name)
        return CallOutcome.UNKNOWN, OutcomeUnknownError(f"{what}: no answer: {said}", code=error.name)

    def _record(
        self, request: RestRequest, answer: RestAnswer | None, outcome: CallOutcome, code: str, started: int, ms: float
    ) -> None:
        hide = self.transport.redacted
        body = "" if answer is None else answer.body.decode("utf-8", "replace")
        self.sink(CallRecord(
            number=self._number, library=self.transport.library.name, method=request.method, path=request.path,
            query=hide(request.query), request_body=hide(request.body.decode("utf-8", "replace")), outcome=outcome,
            status=None if answer is None else answer.status, code=code, response=hide(body), started_ms=started,
            latency_ms=round(ms, 3),
        ))  # fmt: skip

    def _read_verdict(self, what: str, answer: RestAnswer) -> tuple[CallOutcome, str, Any]:
        envelope = envelope_of(answer)
        if envelope is None:
            error = UnavailableError(f"{what}: {_face(answer)}", code=f"HTTP {answer.status}")
            return CallOutcome.UNAVAILABLE, error.code, error
        code, message, rows = envelope
        if code == "0":
            return CallOutcome.OK, code, rows
        said = self.transport.redacted(f"{what}: {code} {message}"[:300])
        if REACTIONS.get(code) is Reaction.CONFIG:
            return CallOutcome.MISCONFIGURED, code, MisconfiguredError(said, code=code, hint=HINTS.get(code))
        return CallOutcome.UNAVAILABLE, code, UnavailableError(said, code=code)

    def _post_verdict(self, what: str, answer: RestAnswer) -> tuple[CallOutcome, str, Any]:
        envelope = envelope_of(answer)
        if envelope is None:
            error = OutcomeUnknownError(f"{what}: {_face(answer)}", code=f"HTTP {answer.status}")
            return CallOutcome.UNKNOWN, error.code, error
        code, message, rows = envelope
        row = rows[0] if len(rows) == 1 and isinstance(rows[0], dict) else None
        if row is not None and "sCode" in row:  # the reason is the item's, whatever stands at the top
            code, message = str(row["sCode"]), str(row.get("sMsg", ""))
        if code == "0" and row is not None and answer.status == 200:
            return CallOutcome.OK, code, rows
        said = self.transport.redacted(f"{what}: {code} {message}"[:300])
        reaction = REACTIONS.get(code, Reaction.QUERY)
        if reaction is Reaction.QUERY or answer.status >= 500 or code in {"0", "1", "2"}:
            return CallOutcome.UNKNOWN, code, OutcomeUnknownError(said, code=code)
        return CallOutcome.REFUSED, code, OrderRefusedError(
            said, code=code, again=reaction is Reaction.LATER, hint=HINTS.get(code),
            halts=reaction in {Reaction.HALT, Reaction.CONFIG},
        )  # fmt: skip


def envelope_of(answer: RestAnswer) -> tuple[str, str, list[Any]] | None:
    """(code, message, data) of a JSON answer; None for anything that is no envelope."""
    if answer.content_type != JSON:
        return None
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    code, message, rows = said.get("code"), said.get("msg", ""), said.get("data", [])
    if not isinstance(code, str) or not isinstance(message, str) or not isinstance(rows, list):
        return None
    return code, message, rows


def one_row(rows: list[Any], what: str) -> Mapping[str, Any]:
    """The only row of an answer.

    Raises:
        AnswerError: when there are none or several.
    """
    if len(rows) != 1 or not isinstance(rows[0], dict):
        raise AnswerError(f"{what}: {len(rows)} rows, expected one")
    return rows[0]


def _face(answer: RestAnswer) -> str:
    kind = answer.content_type or "no content type"
    return f"status {answer.status}, {kind}, {len(answer.body)} bytes: no answer of the interface"


HINTS: Final = {
    "50035": "bind the key to this machine's address",
    "50101": "the key belongs to the other environment: demo and live have keys of their own",
    "50102": "set this machine's clock",
    "50105": "the passphrase is wrong",
    "50110": "this machine's address is not on the key's list",
    "50111": "the key is wrong",
    "50113": "the secret is wrong",
    "50119": "the key does not exist on this site",
    "50120": "the key lacks a permission",
}
