"""The verifier (contracts, section 6): ``python3 -m prometheus.v10.evidence.verify PATH ...`` with nothing installed.

A path may be a run's or a gate's directory, a ``pool.jsonl``, a snapshot, a ledger, or a directory of runs. One line a
finding, the verdict last; ``--json`` for scripts. Exit 0: everything passed; 1: something is not what it should be; 2:
something could not be checked. It reads, and never writes. Standard library only, with everything it imports.

Each kind's verifier is loaded when a path asks for it: to load them all takes as long as to verify a run of 5 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.names import CURVE_FILE, SNAPSHOT_PREFIX, Artifact, GateFile, Schema, is_run_id
from prometheus.v10.base.output import closed_pipe, silence
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.records.findings import Progress, VerifyReport

_LEDGER = b'"schema":"%b"' % Schema.LEDGER_ENTRY.value.encode("ascii")


def verify_path(  # noqa: PLR0911  (one a kind)
    path: Path, *, progress: Progress | None = None, alone: bool = False
) -> VerifyReport:
    """Verify one run, gate, pool, snapshot or ledger; what a path is, its name and content say.

    Args:
        path: what is verified.
        progress: called with numbers of bytes.
        alone: hold a run or a gate against nothing but itself.
    """
    if path.is_dir():
        if is_gate(path):
            from prometheus.v10.evidence.verify.verify_gate import verify_gate

            return verify_gate(path, progress=progress, look_for_ledger=not alone)
        if is_run(path):
            from prometheus.v10.evidence.verify.verify_run import verify_run

            return verify_run(path, progress=progress, look_for_ledger=not alone)
        report = VerifyReport(path, "directory")
        report.error(path, "not a run's directory: it has no run_manifest.json and no SHA256SUMS.txt")
        return report
    from prometheus.v10.evidence.verify import verify_chain, verify_curve

    if path.name.startswith(SNAPSHOT_PREFIX) and path.suffix in {".json", ".jsonl"}:
        return verify_chain.verify_snapshot(path, progress=progress)
    if not path.is_file():
        report = VerifyReport(path, "path")
        report.error(path, "there is no such file or directory")
        return report
    if path.name == CURVE_FILE:
        return verify_curve.verify_curve(path)
    if path.name.startswith("ledger") or _begins_as_ledger(path):
        return verify_chain.verify_ledger(path, progress=progress)
    return verify_chain.verify_pool(path, progress=progress)


def _begins_as_ledger(path: Path) -> bool:
    try:
        fd = open_for_reading(path)
    except Exception:  # noqa: BLE001  (the verification itself will say why it cannot be read)
        return False
    with open(fd, "rb") as file:  # noqa: PTH123  (a descriptor)
        return _LEDGER in file.readline(1 << 20)


def is_gate(path: Path) -> bool:
    """Whether a directory is a gate's."""
    return (path / GateFile.LOCK).exists()


def is_run(path: Path) -> bool:
    """Whether a directory is a run's: by its name, or by what lies in it."""
    return is_run_id(path.name) or (path / Artifact.MANIFEST).exists() or (path / Artifact.SHA256SUMS).exists()


def runs_in(path: Path) -> Iterator[Path]:
    """``path`` itself, or the runs in it when it is a directory of runs."""
    inside = []
    if path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if entry.is_dir() and (is_run(entry) or is_gate(entry)))
    if inside and not is_run(path):
        yield from inside
    else:
        yield path


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="verify",
        description="Verify runs, pools, snapshots and ledgers. Needs Python 3.11 and nothing else.",
        epilog="exit 0: pass, 1: fail, 2: could not check",
    )
    parser.add_argument("path", nargs="+", type=Path, help="a run's directory, a pool, a snapshot, a ledger")
    parser.add_argument("--alone", action="store_true", help="verify a run by itself, without a ledger")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each path")
    chosen = parser.parse_args(arguments)
    code = ExitCode.DONE
    for path in (found for given in chosen.path for found in runs_in(given)):
        report = verify_path(path, alone=chosen.alone)
        lines = [json.dumps(report.plain(), sort_keys=True)] if chosen.json else report.lines()
        _write("".join(f"{line}\n" for line in lines))
        code = _worse(code, report.exit_code)
    return int(code)


def _write(text: str) -> None:
    """Print; a reader that closed the pipe does not change the verdict."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        if not closed_pipe(error):
            raise
        silence()


def _worse(a: ExitCode, b: ExitCode) -> ExitCode:
    """A failure weighs more than what could not be checked, and that more than a pass."""
    return max(a, b, key=[ExitCode.DONE, ExitCode.VERIFY_ERROR, ExitCode.VERIFY_FAILED].index)
