"""What a gate runs: cells, each one kind of world over one window, in an order that its design fixes.

For each window, first the real order and its null (B2: every seed has its own shuffle); then both again for each
ablation and each switched fence; then the **path control**: shuffled paths that all seeds share, as they share the real
one. The order of experiments is a function of the design alone, so a file that holds the first so many of them says
which are still to be run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from attrs import frozen

from prometheus.v10.base.modes import Arm
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.gate.design import FENCE_SWITCHES, PATH_SEEDS_FROM, GateDesign
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.null_arm import shuffle_returns
from prometheus.v10.market.windows import Window, cut

BATCH_AGENT_TICKS = 6_000_000  # half a second of work: that is how long a stop may wait for a worker
NO_FENCE = NO_ABLATION = "none"


@frozen
class Cell:
    """One kind of world over one window.

    Attributes:
        path: number of the shuffled path that all seeds share, from 0; None outside the path control.
        keep: whether each experiment's curves and agents are kept, for plots and winners.
    """

    window: Window
    arm: Arm
    ablation: str = NO_ABLATION
    fence: str = NO_FENCE
    path: int | None = None
    keep: bool = False

    @property
    def name(self) -> str:
        """``W1/A_real``, ``W1/B2_shuffle_returns/M_zeroed``, ``W1/path_07``."""
        if self.path is not None:
            return path_cell(self.window.name, self.path)
        return cell_name(self.window.name, self.arm, self.ablation, self.fence)


def cell_name(window: str, arm: Arm, ablation: str = NO_ABLATION, fence: str = NO_FENCE) -> str:
    """The name of a cell outside the path control."""
    changed = [name for name in (ablation, fence) if name != NO_ABLATION]
    return "/".join([window, arm.value, *changed])


def path_cell(window: str, path: int) -> str:
    """The name of a cell of the path control."""
    return f"{window}/path_{path:03d}"


@frozen
class Batch:
    """Some experiments of one cell: a job for a worker, with everything it needs.

    Attributes:
        bars: of the window, in true order; B2 shuffles them by each seed, the path control came here shuffled.
    """

    name: str
    cell: Cell
    seeds: tuple[int, ...]
    bars: Bars
    config: WorldConfig
    winner_roi: float


def cells(design: GateDesign) -> Iterator[Cell]:
    """Every cell, in the gate's order."""
    for window in design.windows:
        for ablation, fence in variants(design):
            keep = (ablation, fence) == (NO_ABLATION, NO_FENCE)
            for arm in Arm:
                yield Cell(window, arm, ablation, fence, keep=keep)
        for path in range(design.paths.count):
            yield Cell(window, Arm.B2_SHUFFLE_RETURNS, path=path)


def variants(design: GateDesign) -> list[tuple[str, str]]:
    """Ablation and fence of every pair of arms: the primary one, the ablations, the fences."""
    return [
        (NO_ABLATION, NO_FENCE),
        *((ablation, NO_FENCE) for ablation in design.ablations),
        *((NO_ABLATION, fence) for fence in design.fences),
    ]


def seeds_of(design: GateDesign, cell: Cell) -> list[int]:
    """Seeds of a cell: all, or the first of them in the path control."""
    return design.seed_list if cell.path is None else design.seed_list[: design.paths.seeds]


def experiments(design: GateDesign) -> list[tuple[Cell, int]]:
    """Cell and seed of every experiment, in order."""
    return [(cell, seed) for cell in cells(design) for seed in seeds_of(design, cell)]


def batches(
    design: GateDesign, bars: Bars, config: WorldConfig, *, done: int = 0, only: Sequence[str] | None = None
) -> Iterator[Batch]:
    """The work from experiment ``done`` on, cut into batches of one cell each.

    Args:
        design: what to run.
        bars: the whole market.
        config: the world without fences.
        done: experiments that are done already.
        only: names of cells; None is all of them.
    """
    place = 0
    for cell in cells(design):
        seeds = seeds_of(design, cell)
        begin, place = place, place + len(seeds)
        if place <= done or (only is not None and cell.name not in only):
            continue
        part = cut(bars, cell.window)
        if cell.path is not None:
            part = shuffle_returns(part, PATH_SEEDS_FROM + cell.path)
        size = max(1, BATCH_AGENT_TICKS // (cell.window.len * config.founders))
        rest = iter(seeds[max(0, done - begin) :])
        while chosen := tuple(islice(rest, size)):
            yield Batch(
                name=f"{cell.name} seeds {chosen[0]}-{chosen[-1]}",
                cell=cell,
                seeds=chosen,
                bars=part,
                config=config._replace(**FENCE_SWITCHES.get(cell.fence, {})),  # type: ignore[arg-type]
                winner_roi=design.winners.absolute,
            )
