"""How much memory one experiment of 100 x 8 760 takes: a whole run of it, evidence and all, in a new process.

The figure is the kernel's own high-water mark of that process (``VmHWM``). ``ru_maxrss`` would not do: in a process
that was started by fork or vfork it begins with the size of its parent.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.bench_kernel import Scale, bench_profile, bench_run
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.paths import Layout

AGENTS = 100
BAR_MB = 300.0
STATUS = Path("/proc/self/status")


def memory_row(scratch: Path, scale: Scale) -> dict[str, Any]:
    """Measure; a row with ``figure``, ``value``, ``unit``, ``bar``, ``held``, ``detail``.

    Args:
        scratch: an empty directory; what is written stays for the caller to remove.
        scale: gives the length of the experiment.

    Raises:
        HostError: when the process fails.
    """
    command = [sys.executable, "-m", __name__, str(scratch), str(scale.ticks)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        said = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise HostError(f"the process whose memory is measured ended {ended.returncode}: {said}")
    peak = int(ended.stdout) / 1e6
    return {
        "figure": f"memory of one experiment, {AGENTS} x {scale.ticks:,}",
        "value": peak,
        "unit": "MB",
        "bar": f"< {BAR_MB:.0f} MB",
        "held": peak < BAR_MB,
        "detail": "peak resident size of a new process that does one whole run of it, evidence included",
    }


def peak_bytes(status: str) -> int:
    """The high-water mark of the resident size in the text of ``/proc/<pid>/status``."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise HostError(f"{STATUS} does not tell the peak of the resident size")


def main() -> None:
    """Do the run, and say how many bytes it took at most."""
    layout = Layout.under(Path(sys.argv[1]))
    layout.prepare()
    scale = Scale(ticks=int(sys.argv[2]), turns=1, agent_ticks=0, naive_agent_ticks=0, jax_agent_ticks=0)
    bench_run(bench_profile(scale, AGENTS, count=1, workers=1), layout)
    sys.stdout.write(f"{peak_bytes(STATUS.read_text())}\n")


if __name__ == "__main__":
    main()
