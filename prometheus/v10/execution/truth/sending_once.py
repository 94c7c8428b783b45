"""Sends an order once, ever: durable intent, one call, and what that call proved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.orders.order_states import Ending, OrderLife
from prometheus.v10.execution.ports.exchange_errors import NotSentError, OrderRefusedError, RateLimitedError
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import PreparedOrder


def send_once(
    port: ExchangePort,
    chain: OrderChain,
    prepared: PreparedOrder,
    intent: dict[str, Any],
    now_ms: Callable[[], int],
) -> tuple[OrderLife, PrometheusError | None]:
    """Write the intent, send, write what the call proved; gives the order's life and the error of the call.

    A client id that is on the chain is refused there before anything leaves, so no id is ever sent twice, by this
    process or by a later one.

    Raises:
        EvidenceError: when the chain refuses the intent; nothing was sent.
        HostError: when the disk refuses. Before sending: nothing was sent. After it: the intent is durable and open.
    """
    name = prepared.request.client_id
    chain.append((Kind.INTENT, name, intent))
    sent = {"body_sha256": prepared.sha256, "started_ms": now_ms()}
    failed: PrometheusError | None = None
    try:
        ack = port.send(prepared)
    except (RateLimitedError, NotSentError) as error:
        failed = error
        chain.append((Kind.TERMINAL, name, {"state": Ending.NOT_SENT.value, "filled_lots": 0}))
    except OrderRefusedError as error:
        failed = error
        chain.append((Kind.SENT, name, sent),
                     (Kind.REFUSED, name, {"code": error.code, "detail": in_ascii(error.message)}))  # fmt: skip
    except PrometheusError as error:  # whatever else went wrong between sending and reading proves nothing
        failed = error
        code = getattr(error, "code", "") or type(error).__name__
        chain.append((Kind.SENT, name, sent),
                     (Kind.UNKNOWN, name, {"code": code, "detail": in_ascii(error.message)}))  # fmt: skip
    else:
        said = {"order_id": ack.order_id} | ({} if ack.ts_ms is None else {"ts_ms": ack.ts_ms})
        chain.append((Kind.SENT, name, sent), (Kind.ACK, name, said))
    return chain.states.orders[name], failed


def in_ascii(text: str) -> str:
    """A text of the exchange as a line of the chain may carry it."""
    return text[:300].encode("ascii", "replace").decode("ascii")
