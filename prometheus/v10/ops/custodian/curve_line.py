"""A line of a survival curve, as far as the custodian looks: its place in the chain. Standard library only."""

from __future__ import annotations

import json

from prometheus.v10.evidence.chains.chain import Link


class CurveLine:
    """`LineFormat` of a survival curve, as far as the custodian looks: ``n`` and ``prev``."""

    name = "line of a survival curve"

    def links(self, line: bytes, link: Link) -> bool:
        """See `LineFormat`."""
        return self.link_of(line) == link

    def problem(self, line: bytes, link: Link | None) -> str | None:
        """See `LineFormat`."""
        found = self.link_of(line)
        if found is None:
            return "it has no n and prev"
        return None if link is None or found == link else f"it carries n {found.n}, expected n {link.n} and its prev"

    def link_of(self, line: bytes) -> Link | None:
        """See `LineFormat`."""
        try:
            plain = json.loads(line)
            n, prev = plain["n"], plain["prev"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return Link(n, prev) if type(n) is int and isinstance(prev, str) else None


CURVE_LINE = CurveLine()
