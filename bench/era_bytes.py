"""What the shipped HF evolves for its evidence: eras of it, as an operator types them, start to seal.

The rate is of the last run, from its start to its seal, by the wall; beside it stands nothing of ours. Bytes are those
of the runs' directories and of the pool.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import manifest_of
from prometheus.v10.ops.storage.sizes import bytes_under

ERAS, QUICK_ERAS = 4, 1
BYTE_BAR = 20.0
"""Agent-ticks for each byte of evidence."""


def era_rows(scratch: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Measure; rows as `bench.verification.verification_rows`.

    Args:
        scratch: an empty directory; what is written stays for the caller to remove.
        quick: two experiments of one era.

    Raises:
        HostError: when a run fails.
    """
    eras = QUICK_ERAS if quick else ERAS
    command = [sys.executable, "-m", "prometheus.cli", "run", "--root", str(scratch), "--eras", str(eras)]
    ended = subprocess.run([*command, *(["--experiments", "2"] if quick else [])], capture_output=True, check=False)
    if ended.returncode != 0:
        raise HostError(f"run ended {ended.returncode}: nothing was measured")
    layout = Layout.under(scratch)
    runs = sorted(layout.runs(Tier.TIER1_HF).iterdir())
    timings = [(manifest_of(run) or {})["timing"] for run in runs]
    ticks = sum(one["agent_ticks"] for one in timings)
    nbytes = sum(bytes_under(run) for run in runs) + layout.pool(Stage.STAGE1).stat().st_size
    rate = float(timings[-1]["agent_ticks_per_second"])
    return [
        {
            "figure": f"HF, {eras} eras, evidence", "value": ticks / nbytes, "unit": "agent-ticks/byte",
            "bar": f">= {BYTE_BAR:.0f} agent-ticks a byte", "held": ticks / nbytes >= BYTE_BAR,
            "detail": f"{ticks:,} agent-ticks, {nbytes:,} bytes of runs and pool",
        },
        {"figure": "HF, an era, start to seal", "value": rate / 1e6, "unit": "M/s", "detail": "by the wall"},
    ]  # fmt: skip
