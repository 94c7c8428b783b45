"""What the ledger says now, for writers: read once a process, and then only what was appended since.

The view is gone on with only while the file is the one that was read (`prometheus.v10.evidence.pool_checked`).
Standard library only.
"""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.evidence.chain import START
from prometheus.v10.evidence.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.ledger_view import LedgerView
from prometheus.v10.evidence.pool_checked import Notes, Place
from prometheus.v10.evidence.scan import scan

_views: dict[Path, LedgerView] = {}
_notes = Notes()


def ledger_now(path: Path) -> LedgerView:
    """The view of a ledger as it is now; an empty one where there is no ledger.

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
    found = scan(path, LEDGER_LINE, close=True, start=place.size, link=place.link, each=view.add)
    if found.damages:
        _views.pop(path)
        _notes.forget(path)
        found.refuse_damage()
    _notes.note(path, Place(found.good, found.link))
    return view
