"""``ladder_verdict.json`` and ``start_NN.json``: conditions, rungs, the ladder, and a start as its process left it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import attrs
from attrs import frozen

from prometheus.v10.base.names import Schema


class Verdict(StrEnum):
    """What the evidence says of a rung; no verdict says that something earns money."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INSUFFICIENT = "insufficient"


class Kind(StrEnum):
    """What it means that a condition does not hold.

    Attributes:
        REQUIRED: the rung fails.
        EXERCISED: the session is not of the kind that the rung is about: the evidence is insufficient.
        PLACE: it cannot be shown where the session was: the evidence is insufficient.
    """

    REQUIRED = "required"
    EXERCISED = "exercised"
    PLACE = "place"


@frozen(kw_only=True)
class Condition:
    """A condition of a rung, and what was found.

    Attributes:
        says: what must hold.
        kind: of `Kind`.
        file: of the run, or of the ladder's own files; ``field`` within it.
        value: what stands there, or what it comes to; null where the evidence does not say it.
        wanted: what must stand there.
        run_id: whose file it is; null where it is no run's.
    """

    name: str
    says: str
    kind: str
    file: str
    field: str
    value: Any
    wanted: str
    holds: bool
    run_id: str | None
    null_reasons: dict[str, str] = attrs.field(factory=dict)


@frozen(kw_only=True)
class AlsoJudged:
    """Another session that was held against the rung, and the first condition that it does not meet."""

    run_id: str
    verdict: str
    lacks: str | None
    null_reasons: dict[str, str] = attrs.field(factory=dict)


@frozen(kw_only=True)
class Rung:
    """A rung and its verdict.

    Attributes:
        rung: its name, such as ``C1.0``.
        asks: what it asks, in one sentence.
        departure: what this product names otherwise, or does otherwise; empty where it does as the rung says.
        run_id: the session that it was judged by; null where it is judged by several, or by none.
        conclusion: one sentence.
        next_change: the smallest change that would bring it further; empty where it passes.
        venue_seconds: that the session's bars lasted; ``wall_seconds``: that its process worked.
    """

    rung: str
    group: str
    asks: str
    departure: str
    verdict: str
    run_id: str | None
    conclusion: str
    next_change: str
    venue_seconds: int | None
    wall_seconds: float | None
    conditions: list[Condition]
    also_judged: list[AlsoJudged]
    null_reasons: dict[str, str] = attrs.field(factory=dict)


@frozen(kw_only=True)
class LadderSession:
    """A session that was judged.

    Attributes:
        seal: sha256 of its ``SHA256SUMS.txt``.
        verified: what `verify` said: PASS, FAIL or ERROR.
    """

    run_id: str
    seal: str | None
    verified: str
    status: str
    mode: str
    site: str
    library: str
    bars: int
    venue_seconds: int
    wall_seconds: float
    null_reasons: dict[str, str] = attrs.field(factory=dict)


@frozen(kw_only=True)
class LadderVerdict:
    """``ladder_verdict.json``: a function of the files alone, with no time and no place in it.

    Attributes:
        verdict: fail where a rung fails, else insufficient where one is, else pass.
        time: what venue time and wall time say of each other.
    """

    schema: str = Schema.LADDER_VERDICT.value
    verdict: str
    conclusion: str
    next_change: str
    time: str
    counts: dict[str, int]
    sessions: list[LadderSession]
    rungs: list[Rung]
    null_reasons: dict[str, str] = attrs.field(factory=dict)
    extra: dict[str, Any] = attrs.field(factory=dict)


@frozen(kw_only=True)
class LadderStart:
    """``start_NN.json``: a session's process, as it was started and as it ended.

    Attributes:
        runs: run ids that were new when it had ended; none where the start was refused.
        venue_from_ms, venue_to_ms: the venue's clock before and behind it; nothing else asked the venue between.
    """

    schema: str = Schema.LADDER_START.value
    drill: str
    command: list[str]
    began: str
    ended: str
    exit_code: int
    runs: list[str]
    venue_from_ms: int
    venue_to_ms: int
    stderr: str
    null_reasons: dict[str, str] = attrs.field(factory=dict)
    extra: dict[str, Any] = attrs.field(factory=dict)
