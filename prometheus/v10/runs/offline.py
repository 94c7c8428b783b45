"""What a world without an exchange says of the exchange: nothing, and why."""

from __future__ import annotations

from typing import ClassVar

from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Mode
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint, offline_fingerprint
from prometheus.v10.evidence.records.manifest_parts import ExchangeFacts, SelfTradePrevention
from prometheus.v10.runs.workload import Workload

NO_EXCHANGE = "offline: no exchange, no client library and no account"
SIMULATED_STP = "offline: orders fill against the bar and never meet each other, so a self-trade cannot happen"
UNKNOWN = (
    "exchange_lib", "env", "positions_quality", "self_trade_prevention.stp_supported",
    "self_trade_prevention.stp_enabled",
)  # fmt: skip
SIMULATED = ExchangeFacts(
    exchange_lib=None,
    env=None,
    positions_quality=None,
    impedance_fidelity="simulated",
    self_trade_prevention=SelfTradePrevention(
        stp_supported=None,
        stp_enabled=None,
        execution_netting_enabled=False,
        self_trade_policy="forbid",
        self_trade_detection_capability="none",
        note=SIMULATED_STP,
    ),
    null_reasons=dict.fromkeys(UNKNOWN, NO_EXCHANGE),
)


class OfflineWorkload(Workload):
    """A workload whose orders fill against recorded bars."""

    exchange: ClassVar[ExchangeFacts] = SIMULATED

    def fingerprint(self, run_id: str) -> ExecutionFingerprint:
        """No exchange was called."""
        return offline_fingerprint(run_id)


def require_offline(mode: Mode, why: str, *, allow_live: bool = False) -> None:
    """Refuse a mode that has an exchange; ``why`` is the sentence for it.

    Live trading has its own sentence where the profile does not allow it: an adapter must find that refusal in place.

    Raises:
        UsageError: for any mode but offline.
    """
    if mode is Mode.OKX_LIVE and not allow_live:
        raise UsageError(f"mode {mode.value}: the profile does not say allow_live = true", hint="run --mode offline")
    if mode is not Mode.OFFLINE:
        raise UsageError(f"mode {mode.value}: {why}", hint="run --mode offline")
