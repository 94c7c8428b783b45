"""Lines that a ledger gets a moment after somebody has begun to read it, as from a process that is at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def entered_later(ledger: Path, lines: bytes, seconds: float) -> Iterator[None]:
    """Append ``lines`` to the ledger after so many seconds; done when the block is left."""

    def enter() -> None:
        time.sleep(seconds)
        with ledger.open("ab") as file:
            file.write(lines)

    writer = threading.Thread(target=enter)
    writer.start()
    try:
        yield
    finally:
        writer.join()
