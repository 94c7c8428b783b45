"""``execution state|release``: whether an instance may trade, and the operator's word that releases a halt.

Exit 0: looked, or released. 64: nothing to release, another run's halt, or no such instance. 75: it is at work.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.instance.trading_look import halt_facts, trading_state
from prometheus.v10.ops.service.halt_release import release_halt

STATE_EXAMPLES = examples("execution state OKX_DEMO --root /", "execution state OKX_DEMO --json")
RELEASE_EXAMPLES = examples(
    'execution release OKX_DEMO --by "A. Hand" --why "my own test order, cancelled by me" --root /'
)
Instance = Annotated[str, typer.Argument(metavar="INSTANCE", help="Instance that trades, for example OKX_DEMO.")]

OfRun = Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Run whose halt is meant.")]


def state_of(layout: Layout, instance: str) -> Report:
    """The state of an instance's trading; errors as `trading_state`."""
    found = trading_state(layout, instance)
    pairs: dict[str, Any] = {name: found[name] for name in ("trading", "may_begin", "working", "last_run")}
    if (halt := found["halt"]) is not None:
        pairs |= {"halted by": halt["run_id"], "reasons": ", ".join(halt["reasons"]), "line": halt["line"] + 1,
                  "since": halt["since"], "found": halt["detail"], "position, lots": halt["position_lots"],
                  "open orders": None if halt["open_orders"] is None else ", ".join(halt["open_orders"]) or "none",
                  "release it": f"prometheus-quant execution release {instance} --by NAME --why TEXT"}  # fmt: skip
    if (before := found["released"]) is not None:
        pairs["last release"] = f"{before['at']} by {before['by']}, of {before['run_id']}: {before['why']}"
    return Report(found, [facts(f"trading of {instance}", pairs)])


def state_command(instance: Instance, *, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> Report:
    """Say whether trading of an instance is halted, by which run and why, and who released it last."""
    return state_of(existing(Layout.under(root)), instance).asked(as_json=as_json)


def release_command(
    instance: Instance,
    *,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Name of the person who releases it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Reason: what was found and what was done.")],
    run: OfRun = None,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> Report:
    """Release the halt of an instance, by name and with a reason; the ledger has it, and nothing is started."""
    done = release_halt(existing(Layout.under(root)), SystemClock(), instance, by=by, why=why, run_id=run)
    data = {"instance": instance, "released": halt_facts(done.halt), "by": done.by, "why": done.why,
            "entry": done.n, "at": done.at}  # fmt: skip
    pairs = {"run": done.halt.run_id, "reasons": ", ".join(done.halt.reasons), "by": done.by, "why": done.why,
             "entry of the ledger": done.n}  # fmt: skip
    shown: list[RenderableType] = [facts(f"the halt of {instance} is released", pairs), "nothing was started"]
    if not done.heard:
        shown.append("warning: the journal did not hear of it")
    return Report(data, shown).asked(as_json=as_json)
