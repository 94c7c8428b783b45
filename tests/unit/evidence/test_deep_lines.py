"""Lines that are nested deeper than Python's stack: every reader of a chained file answers, none falls over.

The depths are those at which the parser, the canonical spelling and the looks at nested values give up, one after the
other, and everything between. The line is well formed and canonical but for that, where its rest can be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prometheus.v10.base.errors import EvidenceError, PrometheusError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import CURVE_FILE
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.chains.seek import line_of
from prometheus.v10.evidence.pools.pool import PoolWriter, iter_records
from prometheus.v10.evidence.pools.pool_claims import claims_of, place_of
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.records.canonical import MOST_DEPTH, strict_loads
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.verify.verify_chain import verify_ledger, verify_pool
from prometheus.v10.evidence.witnesses.checkpoint import take_checkpoint
from prometheus.v10.evidence.witnesses.checkpoint_kept import read_state
from prometheus.v10.ops.custodian.curve_line import CURVE_LINE
from prometheus.v10.ops.host.status import Look
from prometheus.v10.ops.instance.collapse_intervals import CollapseIntervals
from tests.callbacks import never
from tests.conftest import FakeClock

DEPTHS = (20, 90, 190, 240, 320, 480, 900, 960, 990, 1_000, 1_100, 3_000, 30_000, 200_000)
FORMS = {
    "lists": (b"[", b"]"),
    "objects": (b'{"a":', b"}"),
    "lists in objects": (b'{"a":[', b"]}"),
    "lists, never closed": (b"[", b""),
    "objects, never closed": (b'{"a":', b""),
}
PLACES = ("payload", "null_reasons", "schema", "n", "prev", "id", "metrics_summary", "source")


def deep(depth: int, form: str) -> bytes:
    opens, closes = FORMS[form]
    return opens * depth + b"1" + closes * depth


def lines_of(good: bytes, link: Link) -> list[bytes]:
    """The line ``good`` with a deep value in the place of each of its own, and deep bytes alone."""
    plain = json.loads(good)
    found = []
    for depth in DEPTHS:
        for form in FORMS:
            value = deep(depth, form)
            found.append(value + b"\n")
            for name in sorted(PLACES & plain.keys()):
                mark = json.dumps({**plain, "n": link.n, "prev": link.prev, name: "@@"}, sort_keys=True,
                                  separators=(",", ":")).encode()  # fmt: skip
                found.append(mark.replace(b'"@@"', value) + b"\n")
    return found


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[bytes, list[bytes]]]:
    """Of a pool and a ledger: the first line, and deep second lines."""
    from prometheus.v10.base.names import LedgerEntryType
    from tests.unit.evidence.conftest import make_entry

    folder = tmp_path_factory.mktemp("deep")
    with PoolWriter(folder / "pool.jsonl", clock=FakeClock(), on_torn=never) as pool:
        pool.append([make_entry(0)])
    book = Ledger(folder / "ledger.jsonl", clock=FakeClock(), instance="HF", on_torn=never)
    book.append(LedgerEntryType.RUN_SEALED, {"run_id": "HF_20260102T030405Z_abcdef0_0000", "seal": "0" * 64})

    def of(name: str) -> tuple[bytes, list[bytes]]:
        first = (folder / f"{name}.jsonl").read_bytes()
        return first, lines_of(first, after(first, 0))

    return of


def answers(call: Callable[[], Any], *documented: type[Exception]) -> Any:
    """What it returns, or the documented error that it raises."""
    try:
        return call()
    except documented as error:
        return error


@pytest.mark.parametrize(("name", "form"), [("pool", POOL_LINE), ("ledger", LEDGER_LINE), ("ledger", CURVE_LINE)])
def test_the_rules_of_a_line_have_a_verdict_on_it(samples, name, form):
    first, bad = samples(name)
    link = after(first, 0)
    for line in bad:
        assert form.links(line, link) in {True, False}
        assert form.link_of(line) is None or isinstance(form.link_of(line), Link)
        for asked in (link, None):
            what = form.problem(line, asked)
            assert what is None or (what and what.isprintable())


@pytest.mark.parametrize("name", ["pool", "ledger"])
@pytest.mark.parametrize("close", [True, False])
def test_a_pass_over_the_file_has_a_verdict(samples, tmp_path, name, close):
    first, bad = samples(name)
    form = {"pool": POOL_LINE, "ledger": LEDGER_LINE}[name]
    place = tmp_path / f"{name}.jsonl"
    for line in bad:
        for more in (b"", first):
            place.write_bytes(first + line + more)
            found = scan(place, form, close=close)  # type: ignore[arg-type]
            assert found.damages or (close is False) or found.link.n == 2
        assert line_of(place, form, 1) is None or line_of(place, form, 1)  # type: ignore[arg-type]


READERS: dict[str, dict[str, Callable[[Path], Any]]] = {
    "pool": {
        "verify": verify_path,
        "verify_pool": verify_pool,
        "records": lambda place: list(iter_records(place)),
        "claims": claims_of,
        "place": place_of,
        "open": lambda place: PoolWriter(place, clock=FakeClock(), on_torn=print).__enter__()._close(),
        "snapshot": lambda place: create_snapshot(
            place, place.parent / "snapshots", clock=FakeClock(), git_commit=None
        ),
    },
    "ledger": {
        "verify": verify_path,
        "verify_ledger": verify_ledger,
        "entries": lambda place: list(iter_entries(place)),
        "now": ledger_now,
        "place": place_of,
        "checkpoint": lambda place: take_checkpoint(place, origin="x"),
        "state": lambda place: read_state(place, [1]),
    },
}


@pytest.mark.parametrize(("name", "reader"), [(name, one) for name in READERS for one in READERS[name]])
def test_a_reader_answers_or_says_what_is_damaged(samples, tmp_path, name, reader):
    first, bad = samples(name)
    for number, line in enumerate(bad[::7]):
        place = tmp_path / str(number) / f"{name}.jsonl"
        place.parent.mkdir()
        place.write_bytes(first + line)
        found = answers(lambda place=place: READERS[name][reader](place), PrometheusError)  # type: ignore[misc]
        assert not isinstance(found, RecursionError)
        assert not isinstance(found, EvidenceError) or found.message.isprintable()


def test_an_audit_a_status_and_a_curve_answer(samples, tmp_path):
    ledger, bad = samples("ledger")
    pool, bad_records = samples("pool")
    for number, (entry, record) in enumerate(zip(bad[::23], bad_records[::23], strict=False)):
        layout = Layout.under(tmp_path / str(number))
        layout.prepare()
        layout.ledger.write_bytes(ledger + entry)
        layout.pool(Stage.STAGE1).write_bytes(pool + record)
        curve = layout.state / "HF" / CURVE_FILE
        curve.parent.mkdir()
        curve.write_bytes(entry)
        report = audit(layout)
        assert report.exit_code in {1, 2}
        assert not any("RecursionError" in one.what for one in report.findings)
        assert Look(layout, None, FakeClock()).whole()["cannot_see"]
        answers(lambda curve=curve: CollapseIntervals(curve, "HF", FakeClock(), print), PrometheusError)  # type: ignore[misc]


@pytest.mark.parametrize("form", [name for name, (_, closes) in FORMS.items() if closes])
def test_the_bound_is_where_it_says(form):
    """As deep as it says is read; one deeper is refused; many values side by side are not deep."""
    each = FORMS[form][0].count(b"[") + FORMS[form][0].count(b"{")
    most = MOST_DEPTH // each
    assert strict_loads(deep(most, form))
    with pytest.raises(ValueError, match="nested too deeply"):
        strict_loads(deep(most + 1, form))
    assert len(strict_loads(b"[" + b",".join([deep(most // 2, form)] * 50) + b"]")) == 50
    assert strict_loads(json.dumps(["[" * 500 + "{" * 500]).encode())
