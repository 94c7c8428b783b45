"""``genome show``: one genome's two nets, as the strongest of their channels, on the terminal or as a picture.

A net is ``tanh(W2 tanh(W1 x))``. Near x = 0 its signal is ``sum_f x_f * pull_f``, ``pull_f = sum_h W1[f, h] W2[h]``:
the sign says which way a channel pulls, and ``reach_f = sum_h |W1[f, h] W2[h]|`` is the most it could. Neither is what
the genome did: for that there are its behaviours and its decision trace.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from attrs import frozen
from rich.text import Text

from prometheus.cli.names_of import genome_of
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, StageOption, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.cli.research.pool_best import find_command
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.extras import analysis_module
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.outputs import new_output, refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import features, genome

Vector = npt.NDArray[np.float32]

BAR = 24  # characters of the longest bar
NETS = {"OUT": genome.OUT_NET, "IN": genome.IN_NET}
MEANING = {"OUT": "enters while the signal is above 0", "IN": "side and size, and when to leave"}
POSITIVE, NEGATIVE, GROUND = "#2166ac", "#b2182b", "#f7f7f5"
STYLE: dict[str, Any] = {
    "svg.hashsalt": "prometheus-quant", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 8.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9.0,
}  # fmt: skip


@frozen(kw_only=True, eq=False)
class Net:
    """One net: W1 (33, 5), W2 (5,), and what each channel can do to the signal, (33,) each."""

    w1: npt.NDArray[np.float64]
    w2: npt.NDArray[np.float64]
    pull: npt.NDArray[np.float64]
    reach: npt.NDArray[np.float64]

    def strongest(self, count: int) -> list[int]:
        """Channels by reach, the farthest first."""
        return [int(channel) for channel in np.argsort(-self.reach, kind="stable")[:count]]


def net_of(vector: Vector, base: int) -> Net:
    """The net at locus ``base`` of a genome, float32 (342,)."""
    loci = vector.astype(np.float64)
    w1 = loci[base : base + genome.W1_LOCI].reshape(genome.FEATURES, genome.HIDDEN)
    w2 = loci[base + genome.W1_LOCI : base + genome.NET_LOCI]
    return Net(w1=w1, w2=w2, pull=(w1 * w2).sum(axis=1), reach=np.abs(w1 * w2).sum(axis=1))


def find(what: str, row: int | None, layout: Layout, stage: Stage) -> tuple[Vector, dict[str, Any]]:
    """A genome and what is known of it: by the id of a record, or from a file of genomes.

    Raises:
        UsageError: when there is no such record, file or row.
        EvidenceError: when the pool is damaged.
    """
    if not what.endswith(".npy"):
        record = genome_of(what, layout.pool(stage))
        names = ("survived", "roi_lifetime", "trades", "wins", "final_capital", "death_reason")
        metrics = {name: record.metrics_summary[name] for name in names if name in record.metrics_summary}
        source = {name: record.source[name] for name in ("run_id", "experiment", "genome_index")}
        said = record.metrics_summary.get("verdict")
        verdict = {"labels": ", ".join(said["labels"]) or "none"} if said else {}
        return record.genome(), {"id": record.id, **source, **metrics, **verdict}
    try:
        genomes = np.load(what, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{what} is no file of genomes: {error}", hint="genomes_run_<id>.npy of a Tier-2 run"
        ) from error
    if genomes.ndim != 2 or genomes.shape[1] != genome.LOCI:
        raise UsageError(f"{what} holds {list(genomes.shape)}, expected rows of {genome.LOCI}")
    index = row or 0
    if index >= len(genomes):
        raise UsageError(f"{what} has {len(genomes)} genomes, there is no row {index}")
    return np.asarray(genomes[index], dtype=np.float32), {"file": what, "genome_index": index}


def show(vector: Vector, known: dict[str, Any], count: int) -> Report:
    """The strongest channels of both nets."""
    digest = hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()
    head = {**known, "genome_sha256": digest}
    data: dict[str, Any] = {**head, "nets": {}}
    shown: list[Any] = [facts("genome", head)]
    for name, base in NETS.items():
        net = net_of(vector, base)
        longest = float(net.reach.max()) or 1.0
        rows = [
            (features.NAMES[channel], float(net.pull[channel]), float(net.reach[channel]),
             _bar(float(net.pull[channel]), float(net.reach[channel]), longest))
            for channel in net.strongest(count)
        ]  # fmt: skip
        data["nets"][name] = [{"channel": row[0], "pull": row[1], "reach": row[2]} for row in rows]
        shown.append(
            table(f"{name} net: {MEANING[name]}", ("channel", "pull", "reach", "pulls within its reach"), rows)
        )
    return Report(data, shown)


def _bar(pull: float, reach: float, longest: float) -> Text:
    """The reach as a line, the pull as the filled part of it."""
    long, filled = (max(1, round(BAR * value / longest)) for value in (reach, abs(pull)))
    return Text(("+" if pull > 0 else "-") * min(filled, long) + "·" * (long - filled))


def plot(vector: Vector, title: str) -> bytes:
    """A picture (SVG): W1 of both nets as maps, and beside each what its channels pull; the same bytes every time.

    Raises:
        ConfigError: when the extra is missing.
    """
    matplotlib, figures = (analysis_module(name, "--plot") for name in ("matplotlib", "matplotlib.figure"))
    names = [name.replace("_", " ", 1) for name in features.NAMES]
    with matplotlib.rc_context(STYLE):
        figure = figures.Figure(figsize=(11.0, 7.0), layout="constrained", facecolor="white")
        axes = figure.subplots(1, 4, width_ratios=(1.0, 1.6, 1.0, 1.6), sharey=True)
        span = float(np.abs(vector[: genome.ENTRY_THRESHOLD]).max()) or 1.0
        for k, (name, base) in enumerate(NETS.items()):
            net = net_of(vector, base)
            weights, pulls = axes[2 * k], axes[2 * k + 1]
            image = weights.imshow(net.w1, aspect="auto", cmap="RdBu", vmin=-span, vmax=span)
            weights.set_xticks(range(genome.HIDDEN), [f"h{h + 1}" for h in range(genome.HIDDEN)])
            weights.set_title(f"{name} net: W1", loc="left", fontweight="bold")
            places = np.arange(genome.FEATURES)
            pulls.barh(places, 2 * net.reach, left=-net.reach, color=GROUND, edgecolor="#dddddd", linewidth=0.5)
            colours = [POSITIVE if pull > 0 else NEGATIVE for pull in net.pull]
            pulls.barh(places, net.pull, height=0.5, color=colours)
            pulls.axvline(0.0, color="black", linewidth=0.8)
            pulls.set_title("pull (bar) within reach (frame)", loc="left")
        axes[0].set_yticks(range(genome.FEATURES), names)
        figure.colorbar(image, ax=list(axes), shrink=0.5, label="weight")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        held = io.BytesIO()
        figure.savefig(held, format="svg", metadata={"Date": None, "Creator": "prometheus-quant"})
    return held.getvalue()


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Genomes: 342 numbers that make two nets.")
app.command("find", epilog=examples("genome find 6efef585", "genome find 010e037a --stage stage2"))(find_command)


@app.command(
    "show",
    epilog=examples(
        "genome show 32d87417", "genome show 1468", "genome show genomes_run_ID.npy --row 3 --plot genome.svg"
    ),
)
def show_command(
    what: Annotated[
        str,
        typer.Argument(metavar="GENOME|FILE", help="Record: number, or digits of its id or SHA-256; or a file."),
    ],
    *,
    row: Annotated[int | None, typer.Option(min=0, help="Row of the genome in the .npy file.")] = None,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    channels: Annotated[int, typer.Option(min=1, max=33, help="Number of channels to show of each net.")] = 8,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw it into this new file as well.")
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Draw one genome's nets by their strongest channels."""
    layout = Layout.under(root)
    vector, known = find(what, row, layout, stage)
    if picture is not None:
        if picture.suffix != ".svg":
            raise UsageError(f"--plot {picture}: expected a name that ends in .svg")
        refuse_output(picture, layout=layout)
        new_output(picture, plot(vector, f"genome {known.get('id', what)}"), layout=layout)
        known = {**known, "picture": str(picture)}
    return show(vector, known, channels).asked(as_json=as_json)
