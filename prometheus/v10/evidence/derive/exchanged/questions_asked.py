"""What a run asked an exchange: the closed list of its questions, and that no page of a list was left out.

Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from prometheus.v10.evidence.derive.exchanged.call_stream import Call, rows_of
from prometheus.v10.evidence.derive.typed import plain_json, table

ANY = ""
"""Stands for a value that is looked at elsewhere."""
PAGED = {"trade/orders-pending": "ordId", "trade/orders-history": "ordId", "trade/fills": "billId",
         "account/bills": "billId"}  # fmt: skip
"""Lists that come in pages, and the id that their pages count by."""
SWAP, LIMIT, TYPE = "SWAP", "100", "instType"
SPELLINGS = {"python-okx": (", ", ": "), "ccxt": (",", ":")}
"""What stands behind a value and behind a name in the bodies of each library."""
POSTED = frozenset(["trade/order", "trade/cancel-order", "account/set-leverage", "account/set-position-mode"])


@dataclass
class Asking:
    """Looks at the questions, one call after the other; ``wrong`` gets what is wrong with one."""

    inst_id: str
    currency: str
    step_ms: int
    wrong: list[tuple[int, str]]
    library: str = ""
    begins: dict[int, int] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def look(self, call: Call, path: str) -> None:
        """One call."""
        self.library = self.library or call["library"]
        if call["library"] != self.library:
            self._say(call, f"it was sent by {call['library']!a}, the others by {self.library!a}")
        if call["method"] == "POST":
            if path not in POSTED or call["query"] or not isinstance(plain_json(call["request_body"]), dict):
                self._say(call, "it posts what no run posts")
            elif spelt(call["request_body"], call["library"]) != call["request_body"]:
                self._say(call, f"its body is not spelt as {call['library']!a} spells")
            return
        if call["request_body"]:
            self._say(call, "it is a read with a body")
        given = dict(parse_qsl(call["query"], keep_blank_values=True))
        if "&".join(f"{name}={value}" for name, value in given.items()) != call["query"]:
            self._say(call, "its query is not spelt as queries are")
        wanted = self._wanted(path)
        odd = [name for name, value in given.items() if name not in wanted or (wanted[name] and wanted[name] != value)]
        if path not in QUESTIONS or odd or [name for name in wanted if wanted[name] and name not in given]:
            self._say(call, f"no run asks {path}?{call['query']}")
            return
        if "begin" in given:
            self.begins[call["number"]] = int(given["begin"]) if given["begin"].isdigit() else -1
        if path in PAGED:
            self._page(call, path, given)

    def _wanted(self, path: str) -> dict[str, str]:
        """Parameters of a path: the value that each must have, `ANY` where it may have any or be left out."""
        own = {"instId": self.inst_id, "ccy": self.currency, "bar": BARS.get(self.step_ms // 1000, "none")}
        return {name: own.get(name, value) for name, value in QUESTIONS.get(path, {}).items()}

    def _page(self, call: Call, path: str, given: dict[str, str]) -> None:
        """A page begins where the one before ended: with its last row, or right behind it."""
        last = self._last.get(path)
        if "after" in given and (last is None or given["after"] not in {str(last), str(last + 1)}):
            self._say(call, f"a page behind {given['after']}, the one before ended with {last}")
        rows: list[Any] = rows_of(call)
        if rows and str(table(rows[-1]).get(PAGED[path], "")).isdigit():
            self._last[path] = int(table(rows[-1])[PAGED[path]])

    def _say(self, call: Call, what: str) -> None:
        self.wrong.append((call["number"], what))


def spelt(body: str, library: str) -> str | None:
    """A body as a library spells it; None for a library that nobody knows."""
    separators = SPELLINGS.get(library)
    return None if separators is None else json.dumps(plain_json(body), separators=separators)


BARS = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1H", 7200: "2H", 14_400: "4H", 21_600: "6Hutc",
    43_200: "12Hutc", 86_400: "1Dutc",
}  # fmt: skip
QUESTIONS: dict[str, dict[str, str]] = {
    "public/time": {},
    "system/status": {},
    "account/config": {},
    "account/positions": {},
    "public/instruments": {TYPE: SWAP, "instId": ANY},
    "public/position-tiers": {TYPE: SWAP, "tdMode": ANY, "instFamily": ANY},
    "market/books": {"instId": ANY, "sz": "1"},
    "market/candles": {"instId": ANY, "bar": ANY, "limit": "3"},
    "account/balance": {"ccy": ANY},
    "account/trade-fee": {TYPE: SWAP},
    "account/leverage-info": {"instId": ANY, "mgnMode": ANY},
    "trade/order": {"instId": ANY, "clOrdId": ANY},
    "trade/orders-pending": {"limit": LIMIT, "after": ANY},
    "trade/orders-history": {TYPE: SWAP, "begin": ANY, "limit": LIMIT, "after": ANY},
    "trade/fills": {TYPE: SWAP, "begin": ANY, "limit": LIMIT, "after": ANY},
    "account/bills": {"begin": ANY, "limit": LIMIT, "after": ANY},
}
"""What is read, and with which parameters."""
