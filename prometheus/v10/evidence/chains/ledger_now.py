"""What the ledger says now, for writers: read once a process, and then only what was appended since.

The view is gone on with only while the file is the one that was read (`prometheus.v10.evidence.chains.pool_checked`).
Standard library only.
"""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.evidence.chains.chain import START, Place
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.pool_checked import Notes, remember
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.records.findings import Progress

_views: dict[Path, LedgerView] = {}
_notes = Notes()


def ledger_now(path: Path, *, progress: Progress | None = None) -> LedgerView:
    """The view of a ledger as it is now; an empty one where there is no ledger.

    Args:
        path: the ledger.
        progress: hears of bytes read; it may end the reading by raising, and the next one begins anew.

    Raises:
        EvidenceError: when the ledger is damaged, with the byte offset.
        HostError: when it cannot be read.
    """
    place = _notes.recall(path)
    if place is None:
        place = Place(0, START)
        _views[path] = LedgerView()
    if not path.exists():
        return _views[path]
    view = _views[path]
    try:
        found = scan(path, LEDGER_LINE, close=True, start=place, each=view.add, progress=progress)
    except BaseException:  # the view has part of what came
        _forget(path)
        raise
    if found.damages:
        _forget(path)
        found.refuse_damage()
    place = Place(found.good, found.link)
    _notes.note(path, place)
    remember(path, place)  # an append goes on from there
    return view


def _forget(path: Path) -> None:
    _views.pop(path)
    _notes.forget(path)
