"""Whether the gate can tell: gates on markets of planted truth (`market.planted`), many of each kind.

Each gate has a market of its own, two windows, thirty seeds, and the rule of every gate. On the market with structure
it must pass in at least 95 % of the gates, on the one without in at most 5 %. Beside that the table counts how often
the endpoints alone would have passed: what the path control is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import asdict, evolve, field, frozen

from prometheus.v10.base.modes import Mode
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.gate.cells import Batch, batches, experiments
from prometheus.v10.gate.compare import path_controls, primary
from prometheus.v10.gate.design import GateDesign
from prometheus.v10.gate.outcome import GateExperiment, run_batch
from prometheus.v10.gate.rule import Judgement, Verdict, judge, unbelievable
from prometheus.v10.gate.verdict import by_cell
from prometheus.v10.market.planted import TIMEFRAME_S, planted
from prometheus.v10.market.windows import Window
from prometheus.v10.runs.request.profile import Profile, WorldTable
from prometheus.v10.runs.request.setup import world_config
from prometheus.v10.runs.workers.cluster import in_order
from prometheus.v10.runs.workers.hands import Hands, Progress
from prometheus.v10.runs.workers.warm import warm_up

WINDOW_BARS = 960
STRUCTURE = 0.10  # pull of the market with structure (`market.planted.planted`)
LEAST_POWER, MOST_FALSE = 0.95, 0.05

DESIGN = GateDesign(
    name="planted",
    windows=(Window("W1", 0, WINDOW_BARS), Window("W2", WINDOW_BARS, WINDOW_BARS)),
    # Four reviews a window; mild deaths, so that a bad first review does not end the experiment.
    world=WorldTable(founders=40, review_ticks=240, death_roi=-0.05, breed_roi=0.10, range_ticks=72),
    ablations=(),
    fences=(),
)


@frozen(kw_only=True)
class PlantedRow:
    """What the gates on one kind of market said.

    Attributes:
        without_path_control: gates whose endpoints alone, without the path control, would have passed.
        windows: of all its gates, with ``windows_told_apart``: those in which Mann-Whitney's p alone is below alpha,
            whichever arm is better. Were experiments independent, that would be alpha of them without structure.
        asked: what must hold, in words.
    """

    market: str
    pull: float
    gates: int
    passed: int
    insufficient: int
    failed: int
    without_path_control: int
    windows: int
    windows_told_apart: int
    asked: str
    verdicts: list[str] = field(factory=list)


@frozen(kw_only=True)
class Judged:
    """One gate: its verdict, what it would be if every endpoint were beyond path luck, and Mann-Whitney's windows."""

    given: Judgement
    waived: Judgement
    windows: int
    told_apart: int


@frozen(kw_only=True)
class PlantedTable:
    """All kinds of markets."""

    rows: list[PlantedRow]

    @property
    def as_it_should(self) -> bool:
        """Whether the gate passes where there is structure and nowhere else."""
        structured, empty = self.rows
        return (
            structured.passed >= LEAST_POWER * structured.gates
            and empty.passed <= MOST_FALSE * empty.gates
            and structured.gates > 0
        )

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"rows": [asdict(row) for row in self.rows], "as_it_should": self.as_it_should}


def run_planted(runs: int, first: int, hands: Hands, design: GateDesign = DESIGN) -> PlantedTable:
    """Gates on ``runs`` markets of each kind, seeds ``first`` and on; a stop leaves out what is not finished."""
    warm_up()
    kinds = (
        ("with structure", STRUCTURE, f"pass in at least {LEAST_POWER:.0%}"),
        ("without structure", 0.0, f"pass in at most {MOST_FALSE:.0%}"),
    )
    config = world_config(Profile(mode=Mode.OFFLINE.value, world=design.world), TIMEFRAME_S)
    each = len(experiments(design))
    bars = max(window.start + window.len for window in design.windows)

    def work() -> Iterator[Batch]:
        for _, pull, _ in kinds:
            for seed in range(first, first + runs):
                yield from batches(design, planted(seed, bars, pull=pull), config)

    judgements: list[Judged] = []
    found: list[GateExperiment] = []
    agent_ticks = 0
    for batch in in_order(hands.executor, run_batch, work(), ahead=hands.ahead, stop=hands.stop):
        agent_ticks += batch.agent_ticks
        found += [from_json_bytes(line, GateExperiment, where="planted") for line in batch.lines.splitlines()]
        if len(found) == each:
            judgements.append(_judge(design, found))
            found = []
            what = f"{len(judgements)} gates"
            hands.told(Progress(what=what, done=len(judgements), total=2 * runs, agent_ticks=agent_ticks))
    parts = (judgements[:runs], judgements[runs:])
    return PlantedTable(
        rows=[_row(name, pull, asked, part) for (name, pull, asked), part in zip(kinds, parts, strict=True)]
    )


def _judge(design: GateDesign, found: list[GateExperiment]) -> Judged:
    """One gate's verdict, and what the table says beside it."""
    grouped = by_cell(found)
    comparisons, controls, broken = primary(design, grouped), path_controls(design, grouped), unbelievable(grouped)
    waived = [evolve(control, p_holm=0.0) for control in controls]
    return Judged(
        given=judge(comparisons, controls, design.rule, broken),
        waived=judge(comparisons, waived, design.rule, broken),
        windows=len(comparisons),
        told_apart=sum(one.p < design.rule.alpha for one in comparisons),
    )


def _row(name: str, pull: float, asked: str, judgements: list[Judged]) -> PlantedRow:
    said = [one.given.verdict for one in judgements]
    return PlantedRow(
        market=name,
        pull=pull,
        gates=len(said),
        passed=said.count(Verdict.PASS),
        insufficient=said.count(Verdict.INSUFFICIENT),
        failed=said.count(Verdict.FAIL),
        without_path_control=sum(one.waived.verdict is Verdict.PASS for one in judgements),
        windows=sum(one.windows for one in judgements),
        windows_told_apart=sum(one.told_apart for one in judgements),
        asked=asked,
        verdicts=[verdict.value for verdict in said],
    )
