"""Whether a session meets another world than the instance's run before: another library between it and the exchange."""

from __future__ import annotations

from contextlib import suppress

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import manifest_of, runs
from prometheus.v10.evidence.derive.exchanged.exchange_modes import is_exchange
from prometheus.v10.evidence.records.exchanged.exchange_claim import WorldDifference


def world_difference(layout: Layout, instance: str, run_id: str, library: str) -> WorldDifference | None:
    """What differs from the instance's last run at an exchange; None where nothing does, or there was none.

    Args:
        layout: of the installation.
        instance: whose run it is.
        run_id: of the run that begins.
        library: that sends now.

    Raises:
        HostError: when the runs cannot be listed.
    """
    for place in runs(layout, Tier.TIER2_FULL):
        with suppress(PrometheusError):  # a damaged manifest is for verify to tell
            manifest = manifest_of(place.path) or {}
            before = manifest.get("exchange_lib")
            if place.run_id == run_id or manifest.get("instance") != instance or not is_exchange(manifest):
                continue
            if isinstance(before, str) and before != library:
                return WorldDifference(run_id=place.run_id, library=before)
            return None
    return None
