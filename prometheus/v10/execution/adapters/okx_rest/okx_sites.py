"""Where requests may go: a closed table of OKX's sites, and the loopback for practice. Nothing else, ever."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.market.exchange_words import LOOPBACK_FORM, OKX_SITES, is_loopback

SITES: Final = OKX_SITES
"""A key works only on the site where it was made."""


@frozen(kw_only=True)
class Site:
    """A place and what is done there.

    Attributes:
        base: scheme, host and port.
        demo: whether every request carries ``x-simulated-trading: 1``.
        practice: the loopback.
    """

    name: str
    base: str
    demo: bool
    practice: bool


def site_of(mode: Mode, name: str, *, practice: str | None = None) -> Site:
    """The site of a mode.

    Args:
        mode: ``okx_demo`` or ``okx_live``.
        name: one of `SITES`.
        practice: ``http://127.x.y.z:PORT`` or ``http://[::1]:PORT``, to speak to a venue on the loopback instead.

    Raises:
        MisconfiguredError: for another mode, an unknown site, or a practice address that is not the loopback.
    """
    if mode is Mode.OFFLINE:
        raise MisconfiguredError("mode offline has no exchange", hint="use okx_demo or okx_live")
    if name not in SITES:
        raise MisconfiguredError(f"unknown site {name!r}", hint="known: " + ", ".join(SITES))
    demo = mode is Mode.OKX_DEMO
    if practice is None:
        return Site(name=name, base=SITES[name], demo=demo, practice=False)
    if not is_loopback(practice):
        raise MisconfiguredError(
            f"practice address {practice!r} is not the loopback", hint=f"write it as {LOOPBACK_FORM}"
        )
    return Site(name="practice", base=practice, demo=demo, practice=True)
