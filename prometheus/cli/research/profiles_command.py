"""``profile check``: whether a run would begin with a profile, before anything is started or restarted with it."""

from __future__ import annotations

from typing import Annotated

import typer

from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.runs.request.profile import find_profile, load_profile
from prometheus.v10.runs.request.setup import prepare, world_config


def check(layout: Layout, name: str) -> Report:
    """Read a profile, its numbers and, for stage 1, its market and window; nothing is written.

    Raises:
        ConfigError: naming file, key and what was expected.
        EvidenceError: when the market that it names is damaged.
    """
    place = find_profile(name, layout)
    profile = load_profile(name, layout)
    said: dict[str, object] = {
        "path": str(place),
        "mode": profile.mode.value,
        "stage": profile.stage.value,
        "market": profile.market.source,
    }
    if profile.stage is Stage.STAGE1:
        world = prepare(profile, layout)
        said |= {"symbol": world.bars.symbol, "timeframe_s": world.bars.timeframe_s, "bars": len(world.bars)}
        said |= {"founders": world.config.founders, "experiments": profile.experiments.count}
        said["pool"] = "; ".join(world.counterfactual) or "takes what survives"
    elif profile.stage2 is not None:
        for timeframe_s in profile.stage2.timeframes_s:
            world_config(profile, timeframe_s)
    return Report(said, [facts(f"{name}: a run would begin", said)])


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Profiles: the settings of a run.")


@app.callback()
def _group() -> None:
    """Profiles: the settings of a run."""


@app.command("check", epilog=examples("profile check HF", "profile check ./my.toml --root var --json"))
def check_command(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Name or file of the profile.")],
    *,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> Report:
    """Check a profile, its numbers and its market without a run."""
    return check(Layout.under(root), name).asked(as_json=as_json)
