"""Error codes of the interface as data: HTTP status and text of each; `Refused` carries one through the venue.

Sources: the published error tables. ``{0}`` is the parameter that the refusal names.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Code:
    """What the client gets for a code: the HTTP status and the text."""

    status: int
    text: str


_TABLE: Final[dict[str, tuple[int, str]]] = {
    "0": (200, ""),
    "1": (200, "All operations failed"),
    "2": (200, "Bulk operation partially succeeded."),
    "50000": (400, "Body for POST request cannot be empty."),
    "50001": (503, "Service temporarily unavailable. Try again later."),
    "50002": (400, "JSON syntax error"),
    "50004": (400, "The request timed out: whether it succeeded is unknown, check its result."),
    "50005": (410, "API is offline or unavailable."),
    "50006": (400, 'Invalid Content-Type. Please use "application/json".'),
    "50007": (200, "Account blocked."),
    "50008": (200, "User does not exist."),
    "50009": (200, "Account is suspended due to ongoing liquidation."),
    "50010": (200, "User ID cannot be empty."),
    "50011": (429, "Too Many Requests"),
    "50012": (200, "Account status invalid. Check account status."),
    "50013": (429, "Systems are busy. Please try again later."),
    "50014": (400, "Parameter {0} cannot be empty."),
    "50015": (400, "Either parameter {0} or {1} is required"),
    "50016": (400, "Parameter {0} and {1} is an invalid pair."),
    "50017": (200, "Position frozen by auto-deleveraging (ADL). Try again later."),
    "50018": (200, "{0} frozen by auto-deleveraging (ADL). Try again later."),
    "50019": (200, "Account frozen by auto-deleveraging (ADL). Try again later."),
    "50020": (200, "Position frozen by liquidation. Try again later."),
    "50021": (200, "{0} frozen by liquidation. Try again later."),
    "50022": (200, "Account frozen by liquidation. Try again later."),
    "50023": (200, "Funding fees frozen. Try again later."),
    "50024": (200, "Parameter {0} and {1} can not exist at the same time"),
    "50025": (200, "Parameter {0} count exceeds the limit {1}."),
    "50026": (500, "System error. Try again later"),
    "50027": (200, "This account may not trade."),
    "50028": (200, "The order cannot be taken."),
    "50030": (200, "You don't have permission to use this API endpoint"),
    "50035": (403, "This endpoint requires that APIKey must be bound to IP"),
    "50036": (200, "expTime is earlier than the system time."),
    "50037": (200, "Order expired."),
    "50038": (200, "This feature is unavailable in demo trading"),
    "50039": (200, "Parameter \"before\" isn't supported for timestamp pagination"),
    "50040": (200, "Too frequent operations, please try again later"),
    "50044": (200, "Must select one broker type"),
    "50053": (200, "This feature is only available in demo trading"),
    "50061": (200, "Sub-account rate limit exceeded: 1,000 order requests per two seconds."),
    "50071": (200, "clOrdId already exists"),
    "50100": (400, "API frozen, please contact customer service."),
    "50101": (401, "APIKey does not match current environment."),
    "50102": (401, "Timestamp request expired"),
    "50103": (401, "Request header \"OK-ACCESS-KEY\" cannot be empty."),
    "50104": (401, "Request header \"OK-ACCESS-PASSPHRASE\" cannot be empty."),
    "50105": (401, "Request header \"OK-ACCESS-PASSPHRASE\" incorrect."),
    "50106": (401, "Request header \"OK-ACCESS-SIGN\" cannot be empty."),
    "50107": (401, "Request header \"OK-ACCESS-TIMESTAMP\" cannot be empty."),
    "50110": (401, "Your IP {0} is not included in your API key's IP allowlist."),
    "50111": (401, "Invalid OK-ACCESS-KEY"),
    "50112": (401, "Invalid OK-ACCESS-TIMESTAMP"),
    "50113": (401, "Invalid Sign"),
    "50114": (401, "Invalid Authority"),
    "50115": (405, "Invalid request method."),
    "50119": (401, "API key doesn't exist"),
    "50120": (401, "This API key doesn't have permission to use this function"),
    "51000": (400, "Parameter {0} error"),
    "51001": (200, "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
    "51002": (200, "Instrument ID doesn't match underlying index."),
    "51003": (200, "Either client order ID or order ID is required"),
    "51004": (200, "Order failed. {0}: position and orders exceed the position limit at this leverage."),
    "51005": (200, "Your order amount exceeds the max order amount."),
    "51006": (200, "Order price is not within the price limit (highest buy: {0}, lowest sell: {1})"),
    "51008": (200, "Order failed. Insufficient USDT margin in account"),
    "51009": (200, "Order placement function is blocked by the platform."),
    "51010": (200, "You can't complete this request under your current account mode."),
    "51012": (200, "Token does not exist."),
    "51014": (200, "Index does not exist."),
    "51015": (200, "Instrument ID does not match instrument type."),
    "51016": (200, "Client order ID already exists."),
    "51020": (200, "Your order should meet or exceed the minimum order amount."),
    "51021": (200, "The pair or contract is not yet listed"),
    "51022": (200, "Contract suspended"),
    "51023": (200, "Position doesn't exist."),
    "51024": (200, "Trading account is blocked."),
    "51025": (200, "Order count exceeds the limit"),
    "51027": (200, "Contract has expired."),
    "51029": (200, "This contract is being settled. Please try again later."),
    "51030": (200, "Funding fee is being settled."),
    "51037": (200, "This account only supports placing IOC orders to reduce account risk."),
    "51054": (500, "Request timed out. Please try again."),
    "51071": (200, "You've reached the maximum limit for tags of the cancel-all-after timer."),
    "51100": (200, "TP/SL cannot be attached to a reduce-only order."),
    "51101": (200, "Entered amount exceeds the max pending order amount (Cont) per transaction."),
    "51108": (200, "Positions exceed the limit for closing out with the market price."),
    "51111": (200, "Maximum {0} orders can be placed in bulk"),
    "51112": (200, "Close order size exceeds your available size for this position."),
    "51113": (429, "Market-price liquidation requests too frequent."),
    "51115": (200, "Cancel all pending close-orders before liquidation."),
    "51121": (200, "Order quantity must be a multiple of the lot size."),
    "51124": (200, "You can only place limit orders during call auction."),
    "51148": (200, "A reduce-only order would open or flip a position because of other pending orders."),
    "51149": (500, "Order timed out. Please try again later."),
    "51169": (200, "There is no position in this direction to reduce or close."),
    "51170": (200, "A reduce-only order cannot be in the direction of the position."),
    "51202": (200, "Market order amount exceeds the maximum amount."),
    "51203": (200, "Order amount exceeds the limit {0}."),
    "51278": (200, "SL trigger price cannot be lower than the last price"),
    "51333": (200, "A closing or reduce-only order cannot carry TP/SL"),
    "51400": (200, "Cancellation failed as the order has been filled, canceled or does not exist"),
    "51401": (200, "Cancellation failed as the order is already canceled."),
    "51402": (200, "Cancellation failed as the order is already completed."),
    "51405": (200, "Cancellation failed as you don't have any pending orders."),
    "51407": (200, "Either order ID or client order ID is required."),
    "51412": (200, "Cancellation timed out, please try again later."),
    "51501": (200, "Maximum of {0} orders can be amended."),
    "51503": (200, "Your order has already been filled, canceled or does not exist."),
    "51509": (200, "Modification failed as the order has been canceled."),
    "51510": (200, "Modification failed as the order has been completed."),
    "51511": (200, "Operation failed as the order price doesn't meet the requirement for Post Only."),
    "51512": (200, "The same order stands twice in the batch."),
    "51600": (200, "Status not found."),
    "51603": (200, "Order does not exist"),
    "54000": (200, "Margin trading is not supported."),
    "54094": (200, "Trading cool-off period: only orders that reduce a position are accepted."),
    "58111": (200, "No transfers while the funding fee is charged. Try again later."),
    "59000": (200, "Settings failed. Close any open positions or orders before modifying settings."),
    "59101": (200, "Leverage cannot be changed: cancel pending isolated-margin orders first."),
    "59102": (200, "Leverage exceeds the maximum limit. Please lower the leverage."),
    "59103": (200, "Margin is insufficient for this leverage."),
    "59104": (200, "The position exceeds the largest one at this leverage."),
    "59105": (200, "Leverage can't be less than {0}. Please increase the leverage."),
    "59107": (200, "Leverage cannot be changed: cancel pending cross-margin orders first."),
    "60004": (200, "Invalid timestamp"),
    "60005": (200, "Invalid apiKey"),
    "60006": (200, "Timestamp request expired"),
    "60007": (200, "Invalid sign"),
    "60009": (200, "Login failed."),
    "60011": (200, "Please log in"),
    "60012": (200, "Invalid request: {0}"),
    "60014": (200, "Requests too frequent"),
    "60018": (200, "Invalid channel: {0}"),
    "60024": (200, "Wrong passphrase"),
    "60031": (200, "The WebSocket endpoint does not allow multiple or repeated logins"),
    "60032": (200, "API key doesn't exist"),
    "63999": (200, "Internal system error"),
    "64003": (200, "Your trading fee tier doesn't meet the requirement to access this channel"),
    "64008": (200, "The connection closes soon for a service upgrade. Please reconnect."),
}  # fmt: skip
CODES: Final = {code: Code(*row) for code, row in _TABLE.items()}


class Refused(Exception):  # noqa: N818  (a refusal is an answer, not a failure of the venue)
    """The venue refuses: its code, and the texts that fill the message."""

    def __init__(self, code: str, *said: str) -> None:
        super().__init__(code)
        self.code = code
        self.said = said

    @property
    def message(self) -> str:
        """The text for the client."""
        return CODES[self.code].text.format(*self.said, "", "")
