"""What ``market import`` takes for a CSV file of a million rows, in time and memory: ``python -m bench.csv_import``.

The file has Binance's twelve columns and is written anew each time, by another process: the kernel's largest resident
size of a child begins with that of its parent. The command is a process of its own, start of the program included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attrs import frozen

ROWS = 1_000_000
HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_base,taker_quote,ignore\n"


@frozen(kw_only=True)
class Cost:
    """What one import took: seconds, seconds of processor time, bytes of memory at most."""

    seconds: float
    processor: float
    memory: int


def write_klines(path: Path, rows: int) -> None:
    """A file of one-minute bars of the synthetic market, as Binance publishes them."""
    from prometheus.v10.market.synthetic import synthetic  # noqa: PLC0415  (numpy would count for the child)

    bars = synthetic(1, rows, 60)
    quote = bars.volume * (bars.open + bars.close) / 2
    columns = (bars.open_time * 1000, bars.open, bars.high, bars.low, bars.close, bars.volume, quote)
    with path.open("w", encoding="ascii") as handle:
        handle.write(HEADER)
        for first in range(0, rows, 10_000):
            part = zip(*(column[first : first + 10_000].tolist() for column in columns), strict=True)
            handle.writelines(
                f"{t},{o:.8f},{h:.8f},{low:.8f},{c:.8f},{v:.8f},{t + 59_999},{q:.8f},{t % 997},"
                f"{v / 2:.8f},{q / 2:.8f},0\n"
                for t, o, h, low, c, v, q in part
            )


def cost_of_import(source: Path, root: Path) -> Cost:
    """Import a file in a process of its own.

    Raises:
        RuntimeError: when the command does not end with 0.
    """
    words = [sys.executable, "-m", "prometheus.cli", "market", "import", str(source), "BENCH", "--root", str(root)]
    begun = time.monotonic()
    child = os.posix_spawn(
        words[0], [*words, "--symbol", "BTCUSDT", "--json"], os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )  # fmt: skip
    _, status, used = os.wait4(child, 0)
    if status != 0:
        raise RuntimeError(f"market import ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(seconds=time.monotonic() - begun, processor=used.ru_utime + used.ru_stime, memory=used.ru_maxrss * 1024)


def main(words: list[str]) -> int:
    """Print the cost of three imports."""
    if words:
        write_klines(Path(words[0]), ROWS)
        return 0
    with tempfile.TemporaryDirectory(prefix="prometheus-csv-") as place:
        source = Path(place) / "bars.csv"
        subprocess.run([sys.executable, "-m", "bench.csv_import", str(source)], check=True)
        sys.stdout.write(f"{ROWS:,} rows, {source.stat().st_size / 1e6:.0f} MB\n")
        for turn in range(3):
            cost = cost_of_import(source, Path(place) / f"root{turn}")
            said = f"{cost.seconds:.2f} s, {cost.processor:.2f} s of processor time, {cost.memory / 1e6:.0f} MB at most"
            sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
