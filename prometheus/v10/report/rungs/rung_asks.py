"""How a rung asks: conditions as a table, each looked up in the evidence, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import field, frozen

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.netted.rederived_round import order_ids
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.report.rungs.ladder_evidence import PRACTICE, UNREADABLE, Gathered, Session
from prometheus.v10.report.rungs.ladder_records import Condition, Kind, Verdict

NOT_SAID: Final = "the evidence does not say it"
LONGEST_VALUE: Final = 300
NOT_FULL_SPEED: Final = 0.9
"""Below this share of the exchange's time the wall clock ran slower: the time was compressed."""


@frozen
class Seen:
    """What was found: a value, whether it is what was wanted, and where, if not in the session that was asked."""

    value: Any
    holds: bool
    run_id: str | None = None
    file: str = ""


@frozen(kw_only=True)
class Ask:
    """One condition, before it is looked up.

    Attributes:
        look: finds it; whatever reading raises means that it does not hold.
        then: what to do where it does not hold.
    """

    name: str
    says: str
    file: str
    field: str
    wanted: str
    look: Callable[[Session, Gathered], Seen]
    kind: Kind = Kind.REQUIRED
    then: str = ""

    def answered(self, session: Session | None, gathered: Gathered) -> Condition:
        """The condition with what stands in the evidence; ``session`` is None where several are asked."""
        nulls = Nulls()
        try:
            seen = self.look(session, gathered)  # type: ignore[arg-type]  # asks of several sessions take none
        except UNREADABLE:
            seen = Seen(None, holds=False)
        run_id = seen.run_id or (None if session is None else session.run_id)
        value = seen.value if seen.value is not None else nulls.unknown("value", NOT_SAID)
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            value = f"{value[:LONGEST_VALUE]} ..."
        if run_id is None:
            nulls.unknown("run_id", "it is no run's")
        return Condition(
            name=self.name, says=self.says, kind=self.kind.value, file=seen.file or self.file, field=self.field,
            value=value, wanted=self.wanted, holds=seen.holds, run_id=run_id, null_reasons=nulls.reasons,
        )  # fmt: skip


@frozen(kw_only=True)
class RungAsks:
    """A rung: what it asks, what this product does otherwise, and its conditions.

    Attributes:
        of_several: whether it is asked of all sessions together, and not of one.
    """

    rung: str
    group: str
    asks: str
    conditions: Sequence[Ask]
    departure: str = ""
    of_several: bool = False

    @property
    def all_conditions(self) -> tuple[Ask, ...]:
        """The conditions; of one session also that it verifies, whatever else it shows."""
        return tuple(self.conditions) if self.of_several else (*self.conditions, VERIFIES)


@frozen
class Answers:
    """What the conditions of a rung come to, for one session or for all."""

    session: Session | None
    conditions: list[Condition]
    first: Condition | None = field(init=False)
    verdict: Verdict = field(init=False)

    def __attrs_post_init__(self) -> None:
        unmet = [one for one in self.conditions if not one.holds]
        required = [one for one in unmet if one.kind == Kind.REQUIRED.value]
        exercised = [one for one in unmet if one.kind == Kind.EXERCISED.value]
        first = next(iter([*exercised, *required, *unmet]), None)
        said = Verdict.PASS if first is None else Verdict.INSUFFICIENT
        if required and not exercised:
            first, said = required[0], Verdict.FAIL
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "verdict", said)

    @property
    def rank(self) -> tuple[int, int]:
        """By which sessions are compared: the better verdict, then the fewer conditions that do not hold."""
        order = (Verdict.PASS, Verdict.FAIL, Verdict.INSUFFICIENT)
        if self.first is not None and self.first.kind == Kind.PLACE.value:
            return 0, sum(not one.holds for one in self.conditions)
        return order.index(self.verdict), sum(not one.holds for one in self.conditions)


def answers(rung: RungAsks, session: Session | None, gathered: Gathered) -> Answers:
    """Every condition of a rung, looked up."""
    return Answers(session, [one.answered(session, gathered) for one in rung.all_conditions])


# ---- asks that several rungs have ------------------------------------------------------------------------------------


def of_session(look: Callable[[Session], Any], holds: Callable[[Any], bool]) -> Callable[[Session, Gathered], Seen]:
    """A look at one session: a value, and what must be true of it."""

    def seen(session: Session, _: Gathered) -> Seen:
        value = look(session)
        return Seen(value, bool(holds(value)))

    return seen


def manifest_is(field_name: str, *wanted: str, kind: Kind = Kind.REQUIRED, then: str = "") -> Ask:
    """A field of the manifest that must have one of some values."""
    return Ask(
        name=field_name, says=f"{field_name} is {' or '.join(wanted)}", file=Artifact.MANIFEST.value, field=field_name,
        wanted=" or ".join(wanted),
        look=of_session(lambda one: one.manifest[field_name], lambda value: value in wanted),
        kind=kind, then=then,
    )  # fmt: skip


def sealed(name: str, says: str, *artifacts: Artifact) -> Ask:
    """Artifacts that must be there, with the bytes that the seal has of them."""

    def look(session: Session) -> list[str]:
        return [one.value for one in artifacts if not session.is_sealed(session.name(one))]

    return Ask(
        name=name, says=says, file=Artifact.SHA256SUMS.value, field=", ".join(artifacts), wanted="each with its hash",
        look=lambda session, _: _none_missing(look(session)),
    )  # fmt: skip


def _none_missing(missing: list[str]) -> Seen:
    return Seen(f"missing or changed: {', '.join(missing)}" if missing else "each with its hash", holds=not missing)


VERIFIES: Final = Ask(
    name="verified", says="verify derives the session from its own bytes and finds nothing", file="(the whole run)",
    field="verify", wanted="PASS", look=of_session(lambda one: one.verified, lambda value: value == "PASS"),
    then="run prometheus-quant verify on it, and read its findings",
)  # fmt: skip
DEMO: Final = manifest_is("mode", "okx_demo", kind=Kind.EXERCISED, then="run a session in mode okx_demo")
COMPLETED: Final = manifest_is("status", "completed", kind=Kind.EXERCISED, then="run a session to its end")
EIGHT: Final = (
    Artifact.MANIFEST, Artifact.SUMMARY, Artifact.FINGERPRINT, Artifact.ALIGNMENT_REPORT,
    Artifact.ALIGNMENT_RAW_SAMPLES, Artifact.POSITIONS_SNAPSHOT, Artifact.POSITIONS_RAW_INDEX,
    Artifact.EXECUTION_RAW_INDEX,
)  # fmt: skip
EIGHT_ARE_SEALED: Final = sealed(
    "eight_artifacts", "manifest, summary, fingerprint, alignment report, raw samples, positions and both raw channels",
    *EIGHT,
)  # fmt: skip


def lasted(seconds: int) -> Ask:
    """A session of at least so many seconds of the exchange's time."""
    return Ask(
        name="venue_seconds", says=f"the bars that were traded last at least {seconds} s of the exchange's time",
        file=Artifact.DECISION_TRACE_INDEX.value, field="total_records x market.timeframe_s", wanted=f">= {seconds}",
        look=of_session(lambda one: one.venue_seconds, lambda value: value >= seconds), kind=Kind.EXERCISED,
        then=f"run a session of at least {seconds} s of the exchange's time",
    )  # fmt: skip


ON_THE_WALL_CLOCK: Final = Ask(
    name="wall_clock", says="it took as long on the wall clock as on the exchange's", file=Artifact.MANIFEST.value,
    field="duration_seconds", wanted=f">= {NOT_FULL_SPEED} x the exchange's time", kind=Kind.PLACE,
    look=lambda session, _: Seen(
        round(session.wall_seconds, 3), session.wall_seconds >= NOT_FULL_SPEED * session.venue_seconds > 0
    ),
    then="run it at the exchange's own pace: compressed time does not prove it",
)  # fmt: skip
NOT_ON_PRACTICE: Final = Ask(
    name="site", says="it traded at an exchange that is not ours", file=Artifact.MANIFEST.value, field="exchange.site",
    wanted="not practice", look=of_session(lambda one: one.site, lambda value: value != PRACTICE), kind=Kind.PLACE,
    then="run it on the real exchange's demo account, from a host of its own, and judge that run",
)  # fmt: skip


def no_order_after_a_collapse(session: Session) -> list[int]:
    """Ticks of orders that were sent behind the tick of an internal collapse."""
    collapse = session.row["collapse"]
    if not collapse["detected"]:
        return []
    return [line["payload"]["tick"] for line in session.of_kind("INTENT") if line["payload"]["tick"] > collapse["tick"]]


NO_SPAM: Final = (
    Ask(
        name="orders_per_round", says="a round sends one order; only a close that must be whole sends another",
        file=Artifact.ORDER_CHAIN.value, field="INTENT",
        wanted="each is named by one line of netting_rounds.jsonl, at most one by a line without a forced close",
        look=lambda session, _: _orders_per_round(session),
    ),
    Ask(
        name="orders_after_collapse", says="nothing is ordered behind a collapse", file=Artifact.ORDER_CHAIN.value,
        field="INTENT.tick", wanted="none behind all_stats.collapse.tick",
        look=of_session(no_order_after_a_collapse, lambda value: value == []),
    ),
)  # fmt: skip


def _orders_per_round(session: Session) -> Seen:
    sent = [line["client_id"] for line in session.of_kind("INTENT") if line["payload"]["purpose"] == "net"]
    named = [(order_ids(one), any(row[3] for row in one["wishes"])) for one in session.rounds]
    right = sorted(sent) == sorted({name for names, _ in named for name in names})
    alone = all(forced or len(names) <= 1 for names, forced in named)
    return Seen(f"{len(sent)} orders, {len(session.rounds)} rounds", right and alone)
