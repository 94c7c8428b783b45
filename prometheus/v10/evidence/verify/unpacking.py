"""Compressed files of a run, unpacked while the verification looks at other files. Standard library only.

They lie in a directory that this process made for itself, and their sha256 is taken of what is written there: nobody
hashes them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

from prometheus.v10.base.reading import is_regular
from prometheus.v10.evidence.chains.absences import Codec, unpack


class RunFiles:
    """The files of a run by the names that its seal gives them, whether they are compressed or not.

    Args:
        run_dir: the run.
        unpacked: where compressed files lie unpacked, by name.
    """

    def __init__(self, run_dir: Path, unpacked: Mapping[str, Path]) -> None:
        self._dir, self._unpacked = run_dir, unpacked

    def there(self, name: str) -> bool:
        """Whether it can be read."""
        return name in self._unpacked or is_regular(self._dir / name)

    def place(self, name: str) -> Path:
        """Where its bytes lie."""
        return self._unpacked.get(name, self._dir / name)

    def names(self) -> set[str]:
        """All that can be read."""
        return {one.name for one in self._dir.iterdir()} | self._unpacked.keys()


class Unpacking:
    """One after the other in a thread of its own: what reads zstd, hashes and writes lets other threads run."""

    def __init__(self) -> None:
        self._leave = ExitStack()
        self._aside: Path | None = None
        self._asked: list[tuple[Path, int, Codec, Path]] = []
        self._thread: Thread | None = None
        self._told: dict[Path, str | BaseException] = {}

    def ask(self, packed: Path, size: int, codec: Codec) -> Path:
        """Where a compressed file will lie unpacked; ``size`` is how many bytes it must hold."""
        if self._aside is None:
            from tempfile import TemporaryDirectory

            self._aside = Path(self._leave.enter_context(TemporaryDirectory(prefix="verify-")))
        target = self._aside / str(len(self._asked))
        self._asked.append((packed, size, codec, target))
        return target

    def begin(self) -> None:
        """Begin with what was asked for."""
        if self._asked:
            self._thread = Thread(target=self._unpack, name="unpacking")
            self._thread.start()

    def end(self) -> dict[Path, str | ValueError]:
        """Wait: for each compressed file the sha256 of what it holds, or why it is not what was asked for.

        Raises:
            HostError: when one cannot be read.
            OSError: when one cannot be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        said: dict[Path, str | ValueError] = {}
        for packed, found in self._told.items():
            if not isinstance(found, str | ValueError):
                raise found
            said[packed] = found
        self._told = {}
        return said

    def close(self) -> None:
        """Remove everything."""
        if self._thread is not None:
            self._thread.join()
        self._leave.close()

    def _unpack(self) -> None:
        for packed, size, codec, target in self._asked:
            try:
                with target.open("wb") as file:
                    self._told[packed] = unpack(packed, size, file.write, codec)
            except BaseException as error:  # noqa: BLE001  (whoever waits hears of it)
                self._told[packed] = error
