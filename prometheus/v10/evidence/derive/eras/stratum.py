"""What lives must share to be counted together: one instance, stage, configuration, core, arm, line and market.

Runs without eras have the bars of one sha256. Eras have other bars each, by one rule: one market and one policy of the
window. Runs at an exchange have the bars that come, and share the library through which they traded: another library is
another world. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Arm
from prometheus.v10.evidence.pools.descent import NULL
from prometheus.v10.evidence.records.canonical import canonical_bytes

DIGITS = 16
AS_THEY_COME = "bars as they come"


def shared_by(manifest: Mapping[str, Any]) -> dict[str, str | None]:
    """What all experiments of a run share of their strata.

    Args:
        manifest: of the run, as plain values.

    Raises:
        EvidenceError: when it does not say one of them.
    """
    shared: dict[str, str | None] = {
        name: text_in(manifest, name) for name in ("instance", "stage", "config_hash", "core_hash")
    }
    market = table_in(manifest, "market")
    library = library_of(manifest)
    bars: str | None
    policy: str | None
    trade = f"{text_in(market, 'symbol')} {text_in(market, 'timeframe')}"
    if library is not None:
        shared["library"], bars, policy = library, None, AS_THEY_COME
        source = text_in(market, "source")
    elif manifest.get("era") is None:
        source = text_in(market, "source")
        bars, policy = text_in(market, "sha256"), None
    else:
        # the stored source names the seed of the bars, which changes with the era
        source = text_in(table_in(table_in(manifest, "config"), "market"), "source")
        bars, policy = None, text_in(table_in(manifest, "era"), "policy")
    return {**shared, "market": f"{source}, {trade}", "bars": bars, "policy": policy}


def library_of(manifest: Mapping[str, Any]) -> str | None:
    """The library of a run at an exchange whose configuration names one; None for every other run."""
    config = manifest.get("config")
    exchange = config.get("exchange") if isinstance(config, Mapping) else None
    named = isinstance(exchange, Mapping) and "library" in exchange
    return text_in(manifest, "exchange_lib") if named else None


def strata_of(manifest: Mapping[str, Any]) -> list[str]:
    """The name of the stratum of each experiment of a run: the first digits of a sha256 of what it shares.

    Raises:
        EvidenceError: when the manifest does not say it.
    """
    shared, seeds, lines = shared_by(manifest), manifest.get("seeds"), manifest.get("lines")
    if not isinstance(seeds, list) or (lines is not None and (not isinstance(lines, list) or len(lines) != len(seeds))):
        raise EvidenceError("its manifest has no seeds, or lines of other experiments")
    named: dict[object, str] = {}
    found = []
    for line in lines if isinstance(lines, list) else [None] * len(seeds):
        if line not in named:
            arm = Arm.B2_SHUFFLE_RETURNS.value if line == NULL else text_in(manifest, "arm")
            named[line] = hashlib.sha256(canonical_bytes({**shared, "arm": arm, "line": line})).hexdigest()[:DIGITS]
        found.append(named[line])
    return found


def text_in(table: Mapping[str, Any], name: str) -> str:
    """The text ``name`` of a manifest or of one of its tables.

    Raises:
        EvidenceError: when there is none.
    """
    value = table.get(name)
    if not isinstance(value, str):
        raise EvidenceError(f"its manifest has no {name}")
    return value


def table_in(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The table ``name`` of a manifest; errors as `text_in`."""
    value = table.get(name)
    if not isinstance(value, Mapping):
        raise EvidenceError(f"its manifest has no {name}")
    return value
