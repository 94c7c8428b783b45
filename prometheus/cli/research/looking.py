"""What commands share that look at every sealed run: the instance that is meant, the picture, what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import is_instance
from prometheus.v10.base.outputs import refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.report.eras import LeftOut

OF_RECORD = frozenset(["state", "pools", "market", "gates", *(tier.root_name for tier in Tier)])
"""Directories of an installation that hold evidence and nothing else."""
MOST_NAMED = 5
"""Eras or runs that one line names before it only counts the rest."""


def chosen(layout: Layout, known: Sequence[str], instance: str | None) -> list[str]:
    """The instance that was named, or every one that has a run; none for one that is set up and has not run yet.

    Raises:
        UsageError: for an instance that nobody knows, where others have run.
    """
    if instance is None:
        return list(known)
    if instance in known:
        return [instance]
    if known and not _is_set_up(layout, instance):
        raise UsageError(
            f"no instance {printable(instance)} has run in {layout.lib}", hint=f"there are: {', '.join(known)}"
        )
    return []


def _is_set_up(layout: Layout, instance: str) -> bool:
    """Whether an instance that has no run yet has state or a profile."""
    return is_instance(instance) and any(
        place.exists() for place in (layout.state / instance, layout.profiles / f"{instance}.toml")
    )


def refuse_picture(picture: Path, layout: Layout, instances: Sequence[str]) -> None:
    """Refuse a picture that cannot be meant.

    Raises:
        UsageError: when it is no PNG, several instances would share it, or as `refuse_output`.
    """
    if picture.suffix != ".png":
        raise UsageError(f"--plot {picture}: expected a name that ends in .png")
    if len(instances) > 1:
        raise UsageError("--plot draws one instance", hint=f"name one of {', '.join(instances)}")
    refuse_output(picture, layout=layout)


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """One line a reason."""
    by_reason: dict[str, list[str]] = {}
    for one in left_out:
        name = one.run_id if one.era is None else f"era {one.era} ({one.run_id})"
        by_reason.setdefault(one.why, []).append(name)
    return [f"left out, {why}: {some(names)}" for why, names in by_reason.items()]


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
