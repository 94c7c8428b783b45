"""From evidence to verdicts: each rung by the session that shows it best, and what the others show.

A rung is a claim that something can be done; one session that did it is its evidence. Sessions that are not of the kind
that the rung is about say nothing; one that is of the kind and does not hold is named beside the verdict, whatever the
best one shows. Gate 0 is asked of every session: a run that does not verify fails the whole ladder.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.report.rungs import gate_rungs, rungs_of_accounts, rungs_of_incidents, rungs_of_sessions
from prometheus.v10.report.rungs.ladder_evidence import UNREADABLE, Gathered, Session
from prometheus.v10.report.rungs.ladder_records import (
    AlsoJudged,
    Condition,
    Kind,
    LadderSession,
    LadderVerdict,
    Rung,
    Verdict,
)
from prometheus.v10.report.rungs.rung_asks import NOT_FULL_SPEED, Answers, Ask, RungAsks, answers

LADDER: Final = (
    gate_rungs.RUNGS[0], *rungs_of_sessions.RUNGS, *rungs_of_incidents.RUNGS, *rungs_of_accounts.RUNGS,
    *gate_rungs.RUNGS[1:],
)  # fmt: skip
"""Every rung, from the bottom."""
NONE: Final = "there is no session to judge"


def judge(gathered: Gathered) -> LadderVerdict:
    """The verdict on every rung; the same files give the same verdict."""
    rungs = [_rung(one, gathered) for one in LADDER]
    counts = Counter(one.verdict for one in rungs)
    worst = next((one for one in (Verdict.FAIL, Verdict.INSUFFICIENT) if counts[one.value]), Verdict.PASS)
    first = next((one for one in rungs if one.verdict == worst.value and one.verdict != Verdict.PASS.value), None)
    return LadderVerdict(
        verdict=worst.value, conclusion=_conclusion(worst, counts, len(rungs)),
        next_change="" if first is None else f"{first.rung}: {first.next_change}",
        time=_time(gathered.sessions), counts={one.value: counts[one.value] for one in Verdict},
        sessions=[_session(one) for one in gathered.sessions], rungs=rungs,
    )  # fmt: skip


def _conclusion(worst: Verdict, counts: Counter[str], of: int) -> str:
    passed = f"{counts[Verdict.PASS.value]} of {of} rungs pass"
    if worst is Verdict.FAIL:
        return f"{passed}, {counts[worst.value]} fail."
    if worst is Verdict.INSUFFICIENT:
        return f"{passed}, none fails; for {counts[worst.value]} the evidence is insufficient."
    return f"All {of} rungs pass."


def _time(sessions: list[Session]) -> str:
    """What the exchange's time and the wall clock say of each other."""
    known = [one for one in map(_session, sessions) if one.venue_seconds]
    slow = [one for one in known if one.wall_seconds < NOT_FULL_SPEED * one.venue_seconds]
    if not known:
        return "No session has traded a bar."
    longest = max(known, key=lambda one: one.venue_seconds)
    said = (
        f"The longest session traded {longest.venue_seconds} s of the exchange's time in {longest.wall_seconds:.1f} s "
        "of the wall clock."
    )  # fmt: skip
    if not slow:
        return f"{said} No session was compressed."
    return (
        f"{said} {len(slow)} of {len(known)} sessions were compressed: compressed time shows what a session does in so "
        "many bars. It does not prove 24 hours of wall time: no memory, socket, clock or disk was used for so long."
    )  # fmt: skip


def _rung(rung: RungAsks, gathered: Gathered) -> Rung:
    nulls = Nulls()
    if rung.of_several:
        best, others = answers(rung, None, gathered), []
    elif gathered.sessions:
        judged = [answers(rung, one, gathered) for one in gathered.sessions]
        best = min(judged, key=lambda one: (*one.rank, -(_times(one.session)[0] or 0)))  # of equals the longest
        others = [one for one in judged if one is not best]
    else:
        best, others = _nothing(rung), []
    session = best.session
    venue, wall = _times(session)
    if session is None:
        for name in ("run_id", "venue_seconds", "wall_seconds"):
            nulls.unknown(name, "it is judged by several sessions" if rung.of_several else NONE)
    elif venue is None:
        for name in ("venue_seconds", "wall_seconds"):
            nulls.unknown(name, "the session does not say it")
    return Rung(
        rung=rung.rung, group=rung.group, asks=rung.asks, departure=rung.departure, verdict=best.verdict.value,
        run_id=None if session is None else session.run_id, conclusion=_said(best), next_change=_next(rung, best),
        venue_seconds=venue, wall_seconds=wall, conditions=best.conditions,
        also_judged=[_also(one) for one in others if not _is_of_another_kind(one)], null_reasons=nulls.reasons,
    )  # fmt: skip


def _nothing(rung: RungAsks) -> Answers:
    unmet = [
        Condition(
            name=one.name, says=one.says, kind=Kind.EXERCISED.value, file=one.file, field=one.field, value=None,
            wanted=one.wanted, holds=False, run_id=None, null_reasons={"value": NONE, "run_id": NONE},
        ) for one in rung.all_conditions
    ]  # fmt: skip
    return Answers(None, unmet)


def _is_of_another_kind(one: Answers) -> bool:
    return any(not each.holds and each.kind == Kind.EXERCISED.value for each in one.conditions)


def _also(one: Answers) -> AlsoJudged:
    nulls = Nulls()
    lacks = None if one.first is None else one.first.says
    return AlsoJudged(
        run_id="" if one.session is None else one.session.run_id, verdict=one.verdict.value,
        lacks=nulls.known("lacks", lacks, "every condition holds"), null_reasons=nulls.reasons,
    )  # fmt: skip


def _said(best: Answers) -> str:
    held, of = sum(one.holds for one in best.conditions), len(best.conditions)
    if best.first is None:
        return "Its condition holds." if of == 1 else f"All {of} conditions hold."
    why = {
        Kind.REQUIRED.value: "does not hold", Kind.EXERCISED.value: "no session shows it",
        Kind.PLACE.value: "cannot be shown here",
    }[best.first.kind]  # fmt: skip
    return f"{held} of {of} conditions hold; {why}: {best.first.says}."


def _next(rung: RungAsks, best: Answers) -> str:
    """The smallest change that would bring a rung further."""
    first = best.first
    if first is None:
        return ""
    then = next((one.then for one in rung.all_conditions if one.name == first.name and one.then), "")
    found = "nothing" if first.value is None else f"{first.value}"
    return then or f"{first.file}, {first.field}: found {found}, wanted {first.wanted}"


def _times(session: Session | None) -> tuple[int | None, float | None]:
    if session is None:
        return None, None
    try:
        return session.venue_seconds, round(session.wall_seconds, 3)
    except UNREADABLE:
        return None, None


def _session(one: Session) -> LadderSession:
    nulls = Nulls()
    venue, wall = _times(one)
    try:
        seal: str | None = one.seal
    except OSError:
        seal = None
    library = one.manifest.get("exchange_lib")
    try:
        site = one.site
    except UNREADABLE:
        site = ""
    return LadderSession(
        run_id=one.run_id, seal=nulls.known("seal", seal, "the run is not sealed"), verified=one.verified,
        status=str(one.manifest.get("status")), mode=str(one.manifest.get("mode")), site=site, library=str(library),
        bars=0 if venue is None else one.bars, venue_seconds=venue or 0, wall_seconds=wall or 0.0,
        null_reasons=nulls.reasons,
    )  # fmt: skip


def rung_of(verdict: LadderVerdict, name: str) -> Rung:
    """A rung of a verdict by its name.

    Raises:
        KeyError: when there is none.
    """
    return {one.rung: one for one in verdict.rungs}[name]


def asks_of(name: str) -> tuple[Ask, ...]:
    """The conditions of a rung by its name.

    Raises:
        KeyError: when there is none.
    """
    return tuple({one.rung: one.all_conditions for one in LADDER}[name])
