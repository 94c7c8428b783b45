"""Why trading is reduced or halted: one closed list, and what each reason asks for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TradingState(StrEnum):
    """ACTIVE: every order. REDUCING: only orders that reduce the position. HALTED: none."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"

    @property
    def rank(self) -> int:
        """Larger is stricter."""
        return list(TradingState).index(self)


class Reason(StrEnum):
    """Codes that stand in the chain, in the journal and in reports."""

    FOREIGN_ACTIVITY = "FOREIGN_ACTIVITY"
    ORDER_WITHOUT_INTENT = "ORDER_WITHOUT_INTENT"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    TRUTH_INCOMPLETE = "TRUTH_INCOMPLETE"
    TRUTH_CONTRADICTS = "TRUTH_CONTRADICTS"
    UNEXPLAINED_POSITION = "UNEXPLAINED_POSITION"
    UNEXPLAINED_FILL = "UNEXPLAINED_FILL"
    UNEXPLAINED_MONEY = "UNEXPLAINED_MONEY"
    FEE_DIFFERS = "FEE_DIFFERS"
    LIQUIDATION = "LIQUIDATION"
    AUTO_DELEVERAGING = "AUTO_DELEVERAGING"
    FORCED_CANCEL = "FORCED_CANCEL"
    ACCOUNT_RESTRICTED = "ACCOUNT_RESTRICTED"
    SETTINGS_CHANGED = "SETTINGS_CHANGED"
    REPEATED_REFUSALS = "REPEATED_REFUSALS"
    CLOSE_INCOMPLETE = "CLOSE_INCOMPLETE"
    COOL_OFF = "COOL_OFF"
    DISK = "DISK"
    STOP = "STOP"
    OPERATOR = "OPERATOR"


ASKS: Final[dict[Reason, TradingState]] = {
    **dict.fromkeys(Reason, TradingState.HALTED),
    Reason.CLOSE_INCOMPLETE: TradingState.REDUCING,
    Reason.COOL_OFF: TradingState.REDUCING,
    Reason.STOP: TradingState.REDUCING,
}
"""What a reason makes of the trading state, at least."""
