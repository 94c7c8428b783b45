"""The verdict as a record: a function of the lock, the experiments and the signs, with no time and no place in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.manifest_parts import MarketSource
from prometheus.v10.gate.compare import Comparison, PathControl, explored, path_controls, primary
from prometheus.v10.gate.design import NOT_SWITCHABLE, GateDesign, man_made
from prometheus.v10.gate.outcome import GateExperiment
from prometheus.v10.gate.rule import EndpointFinding, judge, unbelievable
from prometheus.v10.gate.signs import GateSigns, SignAudit
from prometheus.v10.gate.store import GateLock
from prometheus.v10.gate.winners import Winners, winners

LEFT_OUT = "the design leaves it out"


@frozen(kw_only=True)
class GateVerdict:
    """``gate_verdict.json``.

    Attributes:
        verdict: by `rule.RULE`, whose text stands in ``rule``.
        comparisons: primary, one a window.
        explored: ablations and fences; no say in the verdict.
        fences_not_run: man-made fences without a counterfactual arm, and why.
        signs: IN/OUT sign consistency beside its drift control; no say in the verdict.
    """

    schema: str = Schema.GATE_VERDICT.value
    gate: str
    verdict: str
    reasons: list[str]
    config: dict[str, Any]
    config_hash: str
    core_hash: str
    market: MarketSource
    rule: list[str]
    experiments: int
    endpoints: list[EndpointFinding]
    comparisons: list[Comparison]
    path_controls: list[PathControl]
    winners: list[Winners]
    explored: list[Comparison]
    fences_not_run: dict[str, str]
    signs: list[SignAudit]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def by_cell(found: Sequence[GateExperiment]) -> dict[str, list[GateExperiment]]:
    """Experiments by their cell, in the order of their seeds."""
    grouped: dict[str, list[GateExperiment]] = {}
    for one in found:
        grouped.setdefault(one.cell, []).append(one)
    return grouped


def give_verdict(design: GateDesign, lock: GateLock, found: Sequence[GateExperiment], signs: GateSigns) -> GateVerdict:
    """Every figure of a complete gate, and what the rule says of them."""
    grouped = by_cell(found)
    comparisons, controls = primary(design, grouped), path_controls(design, grouped)
    judgement = judge(comparisons, controls, design.rule, unbelievable(grouped))
    return GateVerdict(
        gate=lock.gate,
        verdict=judgement.verdict.value,
        reasons=judgement.reasons,
        config=lock.config,
        config_hash=lock.config_hash,
        core_hash=lock.core_hash,
        market=lock.market,
        rule=lock.rule,
        experiments=len(found),
        endpoints=judgement.endpoints,
        comparisons=comparisons,
        path_controls=controls,
        winners=winners(design, grouped),
        explored=explored(design, grouped),
        fences_not_run={
            fence: NOT_SWITCHABLE.get(fence, LEFT_OUT) for fence in man_made() if fence not in design.fences
        },
        signs=signs.audits,
    )
