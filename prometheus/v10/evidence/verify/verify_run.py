"""Verification of a run's directory (contracts, sections 2 and 4): that it is whole, unchanged, and agrees with itself.

The seal first (`verify_seal`), then what the files say (`verify_contents`), which is loaded while compressed files are
being unpacked: each takes about as long as the other. Standard library only: a stranger runs this with nothing
installed, but for ``zstd`` where lines are compressed.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.own_ledger import ledger_of
from prometheus.v10.evidence.records.findings import Progress, VerifyReport
from prometheus.v10.evidence.verify.unpacking import Unpacking
from prometheus.v10.evidence.verify.verify_seal import SealedFiles


def verify_run(
    run_dir: Path, *, progress: Progress | None = None, ledger: LedgerView | None = None, look_for_ledger: bool = True
) -> VerifyReport:
    """Verify one run's directory.

    Args:
        run_dir: its name is the run id.
        progress: called with numbers of bytes hashed.
        ledger: what the ledger says, when the caller read it already.
        look_for_ledger: read ``../../state/ledger.jsonl`` when there is one and ``ledger`` was not given.
    """
    run_dir = run_dir.absolute()
    report = VerifyReport(run_dir, "run")
    try:
        with closing(Unpacking()) as unpacking:
            view = ledger_of(run_dir, report, ledger, look=look_for_ledger)
            files = SealedFiles(run_dir, report, progress, unpacking)
            files.check(view)
            from prometheus.v10.evidence.verify.verify_contents import Contents

            Contents(files).check(view)
    except PrometheusError as error:
        report.error(run_dir, error.message)
    except OSError as error:
        report.error(error.filename or run_dir, f"cannot be read: {error.strerror}")
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        report.error(run_dir, f"could not be understood: {type(error).__name__}: {ascii(str(error))[:200]}")
    return report
