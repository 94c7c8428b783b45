"""A run of stage 2: its plan and what it came to, and whom it says that it judged, against the snapshot in its root.

A snapshot that is not there (a copy of a run, or retention) is no finding: what is asserted of it then is listed in
`prometheus.v10.evidence.derive.free`. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Stage
from prometheus.v10.base.reading import SMALL, read_if_there
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.pool_from import lines_from
from prometheus.v10.evidence.derive.derived_run import Say, equal
from prometheus.v10.evidence.derive.judged.judged_run import SNAPSHOT, check_batches, check_judging, records_owed
from prometheus.v10.evidence.derive.judged.judging import SNAPSHOT_ID, Judging, told
from prometheus.v10.evidence.derive.lives import Told
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.typed import shown, table
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.verify.verify_verdicts import check_verdicts

_GENOME = re.compile(rb'"genome_sha256":"([0-9a-f]{64})","genome_vector_342":')
"""A pool's line in canonical form has it once: within a text, quotes are escaped."""


ENTERED = tuple(name for name in SNAPSHOT if name != "pool_path")


def check_judged(
    setting: Setting, manifest: Mapping[str, Any], lives: Mapping[int, Told], run_dir: Path, say: Say
) -> None:  # fmt: skip
    """Say what is wrong with the run's plan, and with whom it judged.

    Raises:
        OSError: when the snapshot cannot be read.
        PrometheusError: when it is no regular file, or its index holds too much.
    """
    judging = _judging(setting)
    check_judging(judging, manifest, say)
    check_reference(judging, lives, run_dir, say)


def check_judged_results(
    setting: Setting, manifest: Mapping[str, Any], lives: Mapping[int, Told], run_dir: Path, say: Say
) -> int:  # fmt: skip
    """Say what is wrong with batches and verdicts; returns how many pool records the run owes.

    Raises:
        OSError: when the verdicts cannot be read.
        PrometheusError: when they are no regular file.
    """
    judging = _judging(setting)
    check_batches(judging, lives, say)
    if all(one.whole for one in lives.values()):
        check_verdicts(judging, manifest, lives, run_dir, say)
    return records_owed(judging, manifest, lives)


def _judging(setting: Setting) -> Judging:
    if not isinstance(setting, Judging):
        raise TypeError("the setting of a run of stage 2 has no cells")
    return setting


def check_reference(judging: Judging, lives: Mapping[int, Told], run_dir: Path, say: Say) -> None:
    """Say where the run's snapshot, or the genomes of its batches, are others than those of the snapshot in its root.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file, or its index holds too much.
    """
    name = str(judging.snapshot["id"])
    if SNAPSHOT_ID.fullmatch(name) is None:
        return  # said of the manifest
    folder = run_dir.parent.parent / "pools" / Stage.STAGE1.value / "snapshots"
    data = read_if_there(folder / f"snapshot_{name}.json", at_most=SMALL)
    if data is not None:
        try:
            index = table(strict_loads(data))
        except ValueError:
            index = {}
        equal(say, "stage2", _of(judging.snapshot), _of(index))
    path = folder / f"snapshot_{name}.jsonl"
    if not path.exists():
        return
    genomes, odd = _genomes(path, judging), set()
    for number, one in sorted(lives.items()):
        place = judging.place(number)
        if place.crowd is not None or not one.founders or place.batch in odd:
            continue
        if one.founders[0] != genomes.get(place.batch):
            odd.add(place.batch)
            say(
                f"experiment {number}: its founders are not batch {judging.batches[place.batch]} of snapshot {name}: "
                "the genomes of these records, in their order"
            )


def check_entry(manifest: Mapping[str, Any], ledger: LedgerView, say: Say) -> None:
    """Say where the run's snapshot is another than the ledger entered: stage 2 judges none that the ledger has not."""
    said = table(manifest.get("stage2"))
    entered = [entry for entry in ledger.snapshots if entry.get("id") == said.get("id")]
    if not entered:
        say(f"stage2: the ledger does not know snapshot {shown(said.get('id'))}")
    elif not any(all(entry.get(name) == said.get(name) for name in ENTERED) for entry in entered):
        say(f"stage2: the ledger's entry of snapshot {shown(said.get('id'))} is another")


def _of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What index and manifest both say; where the root lay when the snapshot was taken is its own affair."""
    return {name: said.get(name) for name in SNAPSHOT}


def _genomes(path: Path, judging: Judging) -> dict[int, bytes]:
    """The digest over the genomes of each of the run's batches."""
    wanted = {number: place for place, number in enumerate(judging.batches)}
    last = judging.batches[-1]
    found: dict[int, bytes] = {}
    genomes: list[str] = []
    for n, line in lines_from(path, judging.batches[0] * judging.size):
        batch, row = divmod(n, judging.size)
        if batch > last:
            break
        if row == 0:
            genomes = []
        if batch not in wanted:
            continue
        said = _GENOME.search(line)
        genomes.append(said[1].decode() if said else "")
        if row + 1 == judging.sizes[wanted[batch]]:
            found[wanted[batch]] = told(genomes, ())[0]
    return found
