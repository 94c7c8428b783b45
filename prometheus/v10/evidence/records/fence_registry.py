"""Every fence has an id, a place and a reason (contracts, sections 3 and 9).

A fence is anything that can block or change entering, leaving, sizing or sending an order. *Ecological* fences are
physics, life and death, collapse, and the outer shell's own limits. *Man-made* fences would encode when to trade:
they are listed to show that they are off, and are only ever switched on in a counterfactual arm. The registry is
fences.toml beside this file; the inventory that people read (docs/v10/fence_inventory.md) is written from it by
``python -m prometheus.v10.evidence.records.fence_registry``, and each run's telemetry counts against it.
"""

from __future__ import annotations

import hashlib
import tomllib
from enum import StrEnum
from importlib import resources
from pathlib import Path

from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.evidence.records.canonical import canonical_line
from prometheus.v10.evidence.records.codec import CONVERTER, structure_config

RATE_LIMIT = 0.2
"""A trigger or block rate above this must be explained (contracts, section 4)."""


class Layer(StrEnum):
    """Where a fence stands."""

    CORE = "core"
    RUNNER = "runner"
    OPS = "ops"
    ANALYSIS = "analysis"
    EXCHANGE = "exchange"


class Kind(StrEnum):
    """How a fence works."""

    THRESHOLD = "threshold"
    FALLBACK = "fallback"
    CLIP = "clip"
    HARD_BRANCH = "hard_branch"
    MISSING_DEFAULT = "missing_default"


class Category(StrEnum):
    """Whether a fence is part of the world, or a human strategy that must not guide decisions."""

    ECOLOGICAL = "ecological"
    MAN_MADE = "man_made"


@frozen
class Fence:
    """One entry of the inventory.

    Attributes:
        id: its name in telemetry, events and documents; final.
        location: file and function.
        what_it_gates: enter, exit, size, order send, liquidation, reporting, life or other.
        default_behavior: what happens when it triggers, and whether it is on by default.
        risk: what would go wrong with evidence or evolution if it were misread or too wide.
        required_telemetry: what is counted as an attempt, a trigger and a block.
        counter: name of its counter in the world or in the shell; None when there is nothing to count.
        on_by_default: False for the man-made fences of counterfactual arms and for dead genes.
        explanation: standing reason why a rate above `RATE_LIMIT` is what the world is meant to do; None when a high
            rate would be news, so that the run itself has to explain it.
        since: version of the inventory that it came with; telemetry lists the fences of its run's inventory.
    """

    id: str
    layer: Layer
    type: Kind
    category: Category
    location: str
    what_it_gates: str
    default_behavior: str
    risk: str
    required_telemetry: str
    counter: str | None = None
    on_by_default: bool = True
    explanation: str | None = None
    since: int = 1


@frozen
class _Inventory:
    """``fences.toml`` as a whole."""

    fence: tuple[Fence, ...]


def _load() -> dict[str, Fence]:
    """The registry as its file states it, in the file's order."""
    text = (resources.files(__package__) / "fences.toml").read_text(encoding="utf-8")
    inventory = structure_config(tomllib.loads(text), _Inventory, source="fences.toml")
    registry = {fence.id: fence for fence in inventory.fence}
    if len(registry) != len(inventory.fence):
        raise ConfigError("fences.toml: an id is given twice", hint="ids are final and name one fence each")
    return registry


REGISTRY: dict[str, Fence] = _load()
"""Every fence by id."""


def core_counters() -> tuple[str, ...]:
    """Ids of the fences that the world itself counts, in the order of its counter rows."""
    return tuple(f.id for f in REGISTRY.values() if f.layer is Layer.CORE and f.counter is not None)


LATEST = max(fence.since for fence in REGISTRY.values())
"""Version of the inventory."""


def inventory_hash(version: int = LATEST) -> str:
    """sha256, in hexadecimal, of the canonical lines of an inventory; every manifest names it."""
    lines = b""
    for fence in REGISTRY.values():
        if fence.since <= version:
            plain = CONVERTER.unstructure(fence)
            del plain["since"]
            lines += canonical_line(plain)
    return hashlib.sha256(lines).hexdigest()


def inventory_of(known_hash: str) -> dict[str, Fence]:
    """The fences of the inventory with this hash, in the registry's order; the latest one for a hash that none has."""
    version = next((one for one in range(1, LATEST + 1) if inventory_hash(one) == known_hash), LATEST)
    return {name: fence for name, fence in REGISTRY.items() if fence.since <= version}


_COLUMNS = ("layer", "type", "category", "what_it_gates")
_NOTES = ("location", "default_behavior", "risk", "required_telemetry", "explanation")


def inventory_markdown() -> str:
    """The registry as the text of docs/v10/fence_inventory.md."""
    lines = [
        "# Fence inventory",
        "",
        "Everything that can block or change entering, leaving, sizing or sending an order, and everything that",
        "decides life and death. Written from `prometheus/v10/evidence/records/fences.toml`; a test holds this file to",
        "it. Ids are final; entries are added, never removed. A rate above 0.2 in a run's `gating_telemetry.json` must",
        "be explained; where a high rate is what the world is meant to do, the standing explanation is given here.",
        "",
        f"Inventory hash (in every manifest as `fence_inventory_hash`): `{inventory_hash()}`",
        "",
        "| id | " + " | ".join(_COLUMNS) + " | default |",
        "|---|" + "---|" * (len(_COLUMNS) + 1),
    ]
    for fence in REGISTRY.values():
        cells = [str(getattr(fence, name)) for name in _COLUMNS]
        lines.append(
            f"| [{fence.id}](#{fence.id.lower()}) | {' | '.join(cells)} | {'on' if fence.on_by_default else 'off'} |"
        )
    for fence in REGISTRY.values():
        notes = [(name, getattr(fence, name)) for name in _NOTES]
        lines += ["", f"## {fence.id}", ""]
        lines += [f"- **{name.replace('_', ' ')}**: {text}" for name, text in notes if text is not None]
    return "\n".join(lines) + "\n"


def write_inventory(path: Path) -> None:
    """Write `inventory_markdown` to ``path`` (docs/v10/fence_inventory.md in a checkout)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(inventory_markdown(), encoding="utf-8")


if __name__ == "__main__":
    write_inventory(Path(__file__).resolve().parents[4] / "docs" / "v10" / "fence_inventory.md")
