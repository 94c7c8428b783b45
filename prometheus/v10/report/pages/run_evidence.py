"""How a run was made, and what proves it: the last two parts of its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus.v10.report.pages.figures_made import Grid, Section
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.run_read import RunRead
from prometheus.v10.report.pages.scales import bytes_text, number

MOST_NULLS = 40


def made_section(run: RunRead, _: Phrases) -> Section:
    """Bars, window, code, host, and where it came from."""
    both = frozenset([0, 1])
    grid = Grid(columns=(_("what"), _("value")), rows=made_rows(run, _), left=both)
    return Section(name="made", title=_("How it was made"), grids=[grid])


def made_rows(run: RunRead, _: Phrases) -> list[tuple[str, str]]:
    """How a run was made, name by name."""
    manifest, market, window = run.manifest, run.table("market"), run.table("window")
    seeds = manifest.get("seeds")
    first = f"{seeds[0]} – {seeds[-1]}" if isinstance(seeds, list) and seeds else None
    pairs: list[tuple[str, Any]] = [
        (_("market"), f"{market.get('symbol')} {market.get('timeframe')}, {market.get('source')}"),
        (_("bars"), f"{market.get('first_time')} – {market.get('last_time')}"),
        (_("bars sha256"), market.get("sha256")),
        (_("window"), f"{window.get('name')}: {window.get('start')} + {window.get('len')}"),
        (_("seeds"), first),
        (_("ablation"), run.table("ablation").get("name")),
        (_("review every"), _ticks(run.world("review_ticks"), _)),
        (_("death below, breeding from"), f"{run.world('death_roi')}, {run.world('breed_roi')}"),
        (_("mode"), manifest.get("mode")),
        (_("started"), manifest.get("start_time")),
        (_("ended"), manifest.get("end_time")),
        (_("commit"), manifest.get("git_commit")),
        (_("core"), manifest.get("core_hash")),
        (_("configuration"), manifest.get("config_hash")),
        (_("image"), manifest.get("image_digest")),
        (_("run before"), manifest.get("previous_run_id")),
        *_stage2(run, _),
        *_founding(run, _),
        *_promotion(run, _),
        *_end(run, _),
    ]
    return [(words, "–" if value is None else str(value)) for words, value in pairs]


def _ticks(value: object, _: Phrases) -> str | None:
    return _("{count} ticks", count=number(value)) if type(value) is int else None


def _founding(run: RunRead, _: Phrases) -> list[tuple[str, Any]]:
    founding, era = run.table("founding"), run.table("era")
    if not era:
        return []
    return [(_("era"), f"{era.get('number')}, {era.get('policy')}"), (_("founded on"), founding.get("snapshot"))]


def _stage2(run: RunRead, _: Phrases) -> list[tuple[str, Any]]:
    judged = run.table("stage2")
    if not judged:
        return []
    batches = judged.get("batches")
    count = len(batches) if isinstance(batches, list) else None
    return [(_("snapshot judged"), judged.get("id")), (_("genomes in it"), judged.get("count")), (_("batches"), count)]


def _promotion(run: RunRead, _: Phrases) -> list[tuple[str, Any]]:
    promoted = run.table("promotion")
    if not promoted:
        return []
    proof = promoted.get("proof")
    said = None
    if isinstance(proof, dict):
        said = _("proven: the replay is the same") if proof.get("same") is True else _("not proven")
    source = f"{promoted.get('from_run_id')}, {_('experiment')} {promoted.get('experiment')}"
    return [(_("promoted from"), source), (_("because"), promoted.get("trigger")), (_("proof"), said)]


def _end(run: RunRead, _: Phrases) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if run.manifest.get("stop_detected") is True:
        found.append((_("stopped by"), f"{run.manifest.get('stop_reason')}, {run.manifest.get('stop_time')}"))
    failure = run.table("failure")
    if failure:
        found.append((_("failure"), failure.get("error")))
    if run.cut_off is not None:
        missing = run.cut_off.get("missing")
        found.append((_("closed by"), f"{run.cut_off.get('closed_by_instance')}, {run.cut_off.get('detected_at')}"))
        found.append((_("missing"), ", ".join(map(str, missing)) if isinstance(missing, list) else None))
    return found


def evidence_section(run: RunRead, findings: Sequence[str], _: Phrases) -> Section:
    """What `verify` said, files with their hashes, invariants, and every null with its reason."""
    grids = []
    if findings:
        grids.append(Grid(columns=(_("finding of verify"),), rows=[(one,) for one in findings], caption=_("Findings")))
    if run.odd:
        grids.append(Grid(columns=(_("what could not be read"),), rows=[(one,) for one in run.odd]))
    if run.invariants:
        rows = [
            (
                str(one.get("name")), _("holds") if one.get("passed") is True else _("BROKEN"),
                number(_real(one.get("residual")), 3), number(_real(one.get("limit")), 3),
            )
            for one in run.invariants
        ]  # fmt: skip
        columns = (_("invariant"), _("state"), _("residual"), _("limit"))
        grids.append(Grid(columns=columns, rows=rows, left=frozenset([0, 1]), caption=_("Invariants")))
    if run.listed:
        files = [
            (
                one.name, "–" if one.bytes is None else bytes_text(one.bytes), one.sha256,
                _("there") if one.there else _("taken or compressed"),
            )
            for one in run.listed
        ]  # fmt: skip
        columns = (_("file"), _("size"), "sha256", _("state"))
        grids.append(Grid(columns=columns, rows=files, left=frozenset([0, 2, 3]), caption=_("Sealed files")))
    reasons = run.table("null_reasons")
    if reasons:
        nulls = [(str(name), str(why)) for name, why in sorted(reasons.items())[:MOST_NULLS]]
        caption = _("What is not known, and why")
        grids.append(Grid(columns=(_("field"), _("reason")), rows=nulls, left=frozenset([0, 1]), caption=caption))
    where = f"{run.path.parent.name}/{run.run_id}"
    code = f"prometheus-quant verify {where}\nprometheus-quant replay {where} --root .\nprometheus-quant audit --root ."
    return Section(
        name="evidence", title=_("Evidence"), grids=grids, code=code,
        lead=_("Prove it: typed in the root of the installation, these verify the run, replay it, audit everything."),
        empty="" if run.listed else _("The run is not sealed."),
    )  # fmt: skip


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
