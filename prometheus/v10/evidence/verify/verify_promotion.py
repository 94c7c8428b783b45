"""The claim of a Tier-2 run, from its own files; and the promotions of a ledger against the runs that they name.

`check_claim` is part of `verify`: a proof must agree with itself and with the run's own deaths, births and lives.
`check_promotions` is for `audit`, which knows what else there is. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.base.reading import LARGE, is_regular, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.findings import Finding, Level
from prometheus.v10.evidence.schemas.schema_file import schema_of

STREAMS = ("deaths", "births")
LIFE = {"survived": "is_alive", "initial_capital": "initial_capital", "final_capital": "final_capital",
        "roi_lifetime": "roi_lifetime", "trades": "total_trades", "wins": "wins", "costs": "costs",
        "death_tick": "death_tick", "death_reason": "death_reason"}  # fmt: skip

Say = Callable[[str], object]


def check_claim(manifest: Mapping[str, Any], run_dir: Path, say: Say) -> None:
    """Say what contradicts itself in the promotion that a Tier-2 manifest speaks of.

    Args:
        manifest: of the run.
        run_dir: its directory.
        say: hears each failure.
    """
    claim = manifest.get("promotion")
    if claim is None:
        return
    try:
        _claim(claim, manifest, run_dir, say)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        say(f"promotion: not a claim that can be read: {printable(repr(error), longest=200)}")


def _claim(claim: dict[str, Any], manifest: Mapping[str, Any], run_dir: Path, say: Say) -> None:
    if (what := schema_of("promotion_claim").first(claim)) is not None:
        say(f"promotion: {what}")
        return
    if not claim["from_run_id"].startswith("HF_"):
        say(f"promotion.from_run_id is {claim['from_run_id']}, which is no Tier-1 run")
    if claim["instance"] != run_dir.name.split("_", 1)[0]:
        say(f"promotion.instance is {printable(repr(claim['instance']))}, the run's name says another")
    _proof(claim, manifest, run_dir, say)


def _proof(claim: dict[str, Any], manifest: Mapping[str, Any], run_dir: Path, say: Say) -> None:
    proof = claim.get("proof")
    if proof is None:
        if manifest.get("status") == "completed":
            say("promotion: a completed run has no proof")
        return
    differences = proof["differences"]
    filed = _counts(manifest)
    if proof["deaths"] not in (-1, filed.get("deaths")):
        say(f"promotion.proof.deaths is {proof['deaths']}, the run has {filed.get('deaths')} deaths")
    if "compared" not in proof and manifest.get("schema") == Schema.MANIFEST_1.value:
        if proof["same"] != (not differences):
            say("promotion.proof: same contradicts its differences")
        return
    _kinds(claim, filed, say)
    if "genome_index" in claim and "genome_sha256" in claim and proof["same"]:
        _genome(claim, run_dir, say)


def _kinds(claim: dict[str, Any], filed: dict[str, Any], say: Say) -> None:
    """Each promised kind was compared, or it says why not."""
    proof = claim["proof"]
    differences = proof["differences"]
    compared, missing, left_out = proof["compared"], proof["missing"], proof["not_promised"]
    if proof["same"] != (not differences and not missing):
        say("promotion.proof: same contradicts its differences or what it could not compare")
    for kind in ("deaths", "births", "summary", "genome", "life"):
        promised = kind in {"deaths", "births", "summary"} or "record_id" in claim
        told = (kind in compared) + (kind in missing)
        if told == 0 and not (kind in left_out and (not promised or kind == "life")):
            say(f"promotion.proof: nothing is said of {kind}")
        if kind in compared and (type(compared[kind]) is not int or compared[kind] < 1):
            say(f"promotion.proof.compared.{kind} is {printable(repr(compared[kind]))}: nothing was compared")
    for kind in STREAMS:
        if kind in compared and compared[kind] != filed.get(kind, -1) + 1:
            say(f"promotion.proof.compared.{kind} is {compared[kind]}, the run has {filed.get(kind)} events")


def _counts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    counts = manifest.get("counts")
    return counts if isinstance(counts, dict) else {}


def _genome(claim: dict[str, Any], run_dir: Path, say: Say) -> None:
    """The promoted genome and its life are those of the run's own lives."""
    place = run_dir / Artifact.BEHAVIORS.file_name(run_id=run_dir.name)
    if not is_regular(place):
        return
    rows = strict_loads(read_whole(place, at_most=LARGE))
    if claim["genome_index"] >= len(rows):
        say(f"promotion.genome_index is {claim['genome_index']}, the run has {len(rows)} lives")
        return
    life = rows[claim["genome_index"]]
    if life["genome_sha256"] != claim["genome_sha256"]:
        say("promotion.genome_sha256 is not that of the run's life with this genome_index")
    said = claim.get("metrics_summary", {})
    for name, value in said.items():
        if name == "birth_tick":
            found, wanted = life["birth_time"], value + 1
        else:
            found, wanted = life[LIFE[name]], value
        if found != wanted:
            say(f"promotion.metrics_summary.{name} is {printable(repr(value))}, the run's life has another")


def check_promotions(
    lib: Path, seals: Mapping[str, list[dict[str, Any]]], entries: list[dict[str, Any]]
) -> list[Finding]:
    """What a ledger says was proven, against the runs that it has sealed; and Tier-2 runs without an origin.

    Args:
        lib: the installation's lib.
        seals: seal payloads by run id (`LedgerView.seals`).
        entries: payloads of the ledger's ``promotion`` entries, in order.
    """
    found: list[Finding] = []

    def fail(where: str, what: str) -> None:
        found.append(Finding(Level.FAIL, printable(where), printable(what)))

    for payload in entries:
        for what in _entry(payload, seals):
            fail(f"ledger: promotion {payload.get('promotion')}", what)
    for run_id in sorted(seals):
        if not run_id.startswith(("PROMOTE_", "AUDIT_")):
            continue
        place = lib / "runs" / run_id / Artifact.MANIFEST
        if not is_regular(place):
            continue
        try:
            claim = strict_loads(read_whole(place, at_most=LARGE)).get("promotion")
            source = None if claim is None else str(claim["from_run_id"])
        except (ValueError, LookupError, TypeError, AttributeError):
            fail(str(place), "its promotion cannot be read")
            continue
        if source is not None and source not in seals:
            fail(str(place), f"it proves something of {source}, which no seal of the ledger speaks of")
    return found


def _entry(payload: dict[str, Any], seals: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """What is wrong with one promotion entry."""
    found = []
    if str(payload.get("from_run_id")) not in seals:
        found.append(f"it goes back to {payload.get('from_run_id')}, which no seal of the ledger speaks of")
    if payload.get("status") == "proven":
        run_id = str(payload.get("run_id"))
        known = [one.get("seal") for one in seals.get(run_id, [])]
        if not known or not run_id.startswith(("PROMOTE_", "AUDIT_")):
            found.append(f"proven by {run_id}, which is no sealed Tier-2 run of this ledger")
        elif "seal" in payload and payload["seal"] not in known:
            found.append(f"proven by {run_id} with another seal")
    return found
