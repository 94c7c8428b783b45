"""A Tier-2 run whose own artifacts were changed, every hash redone, is found by what its other files say."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.evidence.records.canonical import canonical_bytes, pretty_bytes
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.free_tier2 import FREE
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.verify.unpacking import RunFiles
from prometheus.v10.evidence.verify.verify_promotion import check_claim, check_promotions
from prometheus.v10.evidence.verify.verify_tier2 import check_tier2
from prometheus.v10.evidence.writing.seal import seal_run

from .conftest import do_run, profile
from .test_promote import drain, put, request

DRAWS = 40


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Path]:
    layout = Layout.under(tmp_path_factory.mktemp("tier2") / "root")
    do_run(layout, profile())
    put(layout, request(layout))
    return layout, drain(layout).path


@pytest.fixture
def run(proven: tuple[Layout, Path], tmp_path: Path) -> Path:
    """A copy of the run under its own name, to forge, beside no ledger."""
    return Path(shutil.copytree(proven[1], tmp_path / proven[1].name))


def found(run: Path) -> list[str]:
    """What both checks say, the seal left aside."""
    report = VerifyReport(run, "run")
    check_tier2(run, RunFiles(run, {}), report)
    manifest = json.loads((run / Artifact.MANIFEST).read_bytes())
    check_claim(manifest, run, lambda what: report.fail(run, what))
    return [finding.what for finding in report.findings]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Container, key and path of every leaf; an index is no part of the path."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        name = path if isinstance(tree, list) else f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list) and value:
            yield from leaves(value, name)
        else:
            yield tree, key, name


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    return "something"


def read(run: Path, artifact: Artifact) -> tuple[Path, list[Any]]:
    place = run / artifact.file_name(run_id=run.name, part=1)
    text = place.read_text()
    if artifact is Artifact.DECISION_TRACE:
        return place, [json.loads(line) for line in text.splitlines()]
    tree = json.loads(text)
    return place, tree if isinstance(tree, list) else [tree]


def write(place: Path, artifact: Artifact, records: list[Any]) -> None:
    place.chmod(0o640)
    if artifact is Artifact.DECISION_TRACE:
        place.write_bytes(b"".join(canonical_bytes(record) + b"\n" for record in records))
    elif artifact is Artifact.POSITIONS_SNAPSHOT:
        place.write_bytes(pretty_bytes(records[0]))
    else:
        place.write_bytes(b"[\n" + b",\n".join(map(canonical_bytes, records)) + b"\n]\n")


def test_the_honest_run_is_found_to_be_honest(run: Path) -> None:
    assert found(run) == []


@pytest.mark.parametrize("artifact", sorted(FREE), ids=lambda one: one.name)
def test_any_leaf_that_is_changed_is_found_or_declared_free(run: Path, artifact: Artifact) -> None:
    draw = random.Random(f"{artifact}")
    place, records = read(run, artifact)
    free = FREE[artifact]
    for _ in range(DRAWS):
        forged = copy.deepcopy(records)
        spots = [
            spot for spot in leaves(draw.choice(forged)) if not any(f"{spot[2]}.".startswith(f"{one}.") for one in free)
        ]
        tree, key, name = draw.choice(spots)
        tree[key] = other(tree[key])
        write(place, artifact, forged)
        assert found(run), f"{name} -> {tree[key]!r}"
    write(place, artifact, records)
    assert found(run) == []


@pytest.mark.parametrize("artifact", sorted(FREE), ids=lambda one: one.name)
def test_an_emptied_artifact_is_found(run: Path, artifact: Artifact) -> None:
    place, _ = read(run, artifact)
    place.chmod(0o640)
    for data in (b"", b"[\n\n]\n", b"{}\n", b"null", b"[" * 5000, b"\xff"):
        place.write_bytes(data)
        assert found(run), data[:10]


def test_genomes_are_those_of_births_and_deaths(run: Path) -> None:
    place = run / Artifact.GENOMES.file_name(run_id=run.name)
    place.chmod(0o640)
    honest = place.read_bytes()
    for data in (
        honest[:-1], honest + b"\0" * 4 * 342, honest[:-4] + b"\0\0\x80?", b"", honest[:12],
        honest.replace(b"<f4", b"<i4"), honest.replace(b"342", b"343"), honest[:10] + b"[" * 5000,
    ):  # fmt: skip
        place.write_bytes(data)
        assert found(run), len(data)


def test_an_alignment_bundle_of_an_offline_run_has_one_form(run: Path) -> None:
    for artifact in (Artifact.ALIGNMENT_REPORT, Artifact.ALIGNMENT_RAW_SAMPLES):
        place = run / artifact
        place.chmod(0o640)
        honest = place.read_bytes()
        place.write_bytes(honest.replace(b": null", b": true", 1))
        assert found(run)
        place.write_bytes(honest)


CLAIMS: dict[str, Any] = {
    "deaths": lambda claim: claim["proof"].update(deaths=10**9),
    "differences": lambda claim: claim["proof"].update(differences=["everything"]),
    "not the same": lambda claim: claim["proof"].update(same=False),
    "nothing compared": lambda claim: claim["proof"].update(compared={}),
    "no births": lambda claim: claim["proof"]["compared"].pop("births"),
    "a genome excused": lambda claim: (
        claim["proof"]["compared"].pop("genome"), claim["proof"]["not_promised"].update(genome="no")
    ),
    "another genome": lambda claim: claim.update(genome_sha256="0" * 64),
    "another figure": lambda claim: claim["metrics_summary"].update(roi_lifetime=99.0),
    "another index": lambda claim: claim.update(genome_index=claim["genome_index"] + 1),
    "no run": lambda claim: claim.update(from_run_id="../.."),
    "no proof": lambda claim: claim.pop("proof"),
    "a list": lambda claim: claim.update(proof=[1]),
}  # fmt: skip


@pytest.mark.parametrize("forge", CLAIMS.values(), ids=CLAIMS.keys())
def test_a_claim_that_contradicts_its_run_is_found_by_verify(run: Path, forge: Any) -> None:
    place = run / Artifact.MANIFEST
    manifest = json.loads(place.read_bytes())
    forge(manifest["promotion"])
    place.chmod(0o640)
    place.write_bytes(pretty_bytes(manifest))
    for name in (Artifact.SHA256SUMS, Artifact.FILELIST):
        (run / name).unlink()
    seal_run(run)
    assert verify_path(run).exit_code == 1


def test_promotions_of_the_ledger_rest_on_runs_that_it_has_sealed(proven: tuple[Layout, Path]) -> None:
    layout, path = proven
    seals: dict[str, list[dict[str, Any]]] = {}
    entries = []
    for entry in iter_entries(layout.ledger):
        if entry.type == "promotion":
            entries.append(entry.payload)
        elif "seal" in entry.payload:
            seals.setdefault(entry.payload["run_id"], []).append(entry.payload)
    assert check_promotions(layout.lib, seals, entries) == []
    assert [one["status"] for one in entries] == ["queued", "proven"]
    for key, value in {"run_id": "PROMOTE_20200101T000000Z_0123456_0000", "seal": "0" * 64}.items():
        assert check_promotions(layout.lib, seals, [entries[0], {**entries[1], key: value}])
    without = {name: said for name, said in seals.items() if name != entries[0]["from_run_id"]}
    assert len(check_promotions(layout.lib, without, entries)) == 3
    assert path.name in seals
