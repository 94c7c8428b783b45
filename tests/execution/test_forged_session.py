"""A sealed session whose chain, calls, rounds or claims were changed, every hash redone, is found by all the others.

``PQ_FORGERIES`` sets how many leaves are drawn, ``PQ_FORGERIES_SEED`` from which seed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.free import is_free
from prometheus.v10.evidence.records.canonical import canonical_bytes, pretty_bytes
from prometheus.v10.evidence.verify.exchanged.free_exchange import FREE as FREE_AT_EXCHANGE
from prometheus.v10.evidence.verify.exchanged.free_exchange import is_free_at_exchange
from prometheus.v10.evidence.verify.free_tier2 import FREE as FREE_TIER2
from tests.execution.sealed_house import Sealed, do_session, profile_of
from tests.forger.forge import Forgery

DRAWS = int(os.environ.get("PQ_FORGERIES", "40"))
SEED = int(os.environ.get("PQ_FORGERIES_SEED", "5"))
FOUND_AT_LEAST = 0.97
CHAIN, ROUNDS, RAW = str(Artifact.ORDER_CHAIN), str(Artifact.NETTING_ROUNDS), "m_execution_raw_part_"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def sealed(venue, tmp_path_factory) -> Sealed:
    """A session with orders, crossed lots, a review with deaths, and a flat end."""
    root = tmp_path_factory.mktemp("sealed")
    return Sealed(do_session(root, venue, profile_of(root)).path)


def is_asserted(forgery: Forgery) -> bool:
    """Whether a leaf is on one of the lists of what cannot be derived."""
    if is_free(forgery.field) or is_free_at_exchange(forgery.field):
        return True
    path = ".".join(str(name) for name in forgery.path if not isinstance(name, int))
    for artifact, names in FREE_TIER2.items():
        form = re.sub(r"\\\{[^}]*\\\}", ".*", re.escape(str(artifact)))
        if re.fullmatch(form, forgery.file):
            return any(f"{path}.".startswith(f"{name}.") for name in names)
    return False


def test_the_honest_session_is_found_to_be_honest_by_python_alone(sealed, tmp_path):
    copy = tmp_path / sealed.run.name
    shutil.copytree(sealed.run, copy)
    source = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(source)!r}); sys.argv[1:] = "
         f"[{str(copy)!r}]; import runpy; runpy.run_module('prometheus.v10.evidence.verify', run_name='__main__')"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sealed.forge(tmp_path, dict) is None  # what the forger redoes by itself changes nothing


def test_the_honest_session_with_compressed_lines_passes(sealed, tmp_path):
    report = sealed.verified(tmp_path, sealed.files, packed=True)
    assert (tmp_path / "runs" / sealed.run.name / f"{CHAIN}.zst").exists()
    assert report.exit_code is ExitCode.DONE, report.lines()


def test_any_leaf_that_is_changed_is_found_or_listed_as_asserted(sealed, tmp_path, record_property):
    draw = random.Random(SEED)
    names = [name for name in sorted(sealed.files) if sealed.files[name].strip() and not name.endswith(".npy")]
    tried, missed = 0, []
    while tried < DRAWS:
        forgery = sealed.draw(draw.choice(names), draw)
        if forgery is None or is_asserted(forgery):
            continue
        report = sealed.forged(tmp_path, forgery, packed=tried % 2 == 1)
        if report is None:
            continue
        tried += 1
        assert report.exit_code is not ExitCode.VERIFY_ERROR, (forgery, report.lines())
        if report.exit_code is not ExitCode.VERIFY_FAILED:
            missed.append(forgery)
    record_property("figure", f"{tried - len(missed)} of {tried} forgeries of a session found")
    assert 1 - len(missed) / tried >= FOUND_AT_LEAST, missed


# ---- known forgeries -------------------------------------------------------------------------------------------------


def lines(files: Files, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[name].splitlines()]


def put(files: Files, name: str, records: list[dict[str, Any]]) -> None:
    files[name] = b"".join(canonical_bytes(one) + b"\n" for one in records)


def chain_with(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Files], None]:
    """The chain with its lines changed; its forger links it again."""

    def forge(files: Files) -> None:
        found = lines(files, CHAIN)
        change(found)
        put(files, CHAIN, found)

    return forge


def of_kind(found: list[dict[str, Any]], kind: str, at: int = 0) -> int:
    return [place for place, one in enumerate(found) if one["kind"] == kind][at]


def payload(kind: str, **changes: Any) -> Callable[[Files], None]:
    return chain_with(lambda found: found[of_kind(found, kind)]["payload"].update(changes))


def drop(kind: str) -> Callable[[Files], None]:
    return chain_with(lambda found: found.pop(of_kind(found, kind)))


def calls(files: Files) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(name, json.loads(data)) for name, data in sorted(files.items()) if name.startswith(RAW)]


def put_calls(files: Files, parts: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """The parts with their calls numbered anew."""
    number = 0
    for name, found in parts:
        for one in found:
            number += 1
            one["number"] = number
        files[name] = b"[\n" + b",\n".join(map(canonical_bytes, found)) + b"\n]\n"
    index = json.loads(files[Artifact.EXECUTION_RAW_INDEX])
    last = 0
    for part, (_, found) in zip(index["shards"], parts, strict=True):
        part |= {"records_count": len(found), "first_call": last + 1, "last_call": last + len(found)}
        last += len(found)
    index["total_records"] = last
    files[Artifact.EXECUTION_RAW_INDEX] = pretty_bytes(index)


def calls_with(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Files], None]:
    """One part changed: the first in which ``change`` does something."""

    def forge(files: Files) -> None:
        parts = calls(files)
        for _, found in parts:
            if change(found):
                break
        put_calls(files, parts)

    return forge


def posts_in(found: list[dict[str, Any]]) -> list[int]:
    return [at for at, one in enumerate(found) if one["method"] == "POST" and one["path"].endswith("trade/order")]


def sent_twice(found: list[dict[str, Any]]) -> bool:
    posts = posts_in(found)
    if posts:
        found.insert(posts[0], dict(found[posts[0]]))
    return bool(posts)


def without_the_post(found: list[dict[str, Any]]) -> bool:
    posts = posts_in(found)
    if posts:
        found.pop(posts[0])
    return bool(posts)


def answer_with(path: str, old: str, new: str) -> Callable[[Files], None]:
    """Every answer of a path with one text in place of another."""

    def forge(files: Files) -> None:
        parts = calls(files)
        for _, found in parts:
            for one in found:
                if one["path"].endswith(path):
                    one["response"] = re.sub(old, new, one["response"])
        put_calls(files, parts)

    return forge


def claim(*path: str, value: Any) -> Callable[[Files], None]:
    def forge(files: Files) -> None:
        found = json.loads(files[Artifact.MANIFEST])
        at = found
        for name in path[:-1]:
            at = at[name]
        assert at[path[-1]] != value
        at[path[-1]] = value
        files[Artifact.MANIFEST] = pretty_bytes(found)

    return forge


def rounds_with(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Files], None]:
    def forge(files: Files) -> None:
        found = lines(files, ROUNDS)
        change(found)
        put(files, ROUNDS, found)

    return forge


def one_lot_less(files: Files) -> None:
    """A fill of one lot less in the chain and in its round: the exchange said another number."""
    found, rounds = lines(files, CHAIN), lines(files, ROUNDS)
    place = of_kind(found, "FILL")
    trade = found[place]["payload"]["trade_id"]
    found[place]["payload"]["lots"] -= 1
    for one in rounds:
        for fill in one["fills"]:
            fill["lots"] -= fill["trade_id"] == trade
    put(files, CHAIN, found)
    put(files, ROUNDS, rounds)


def a_kinder_fee(files: Files) -> None:
    """A smaller fee in chain, round and the rows of fills: the bills say what was charged."""
    found, rounds = lines(files, CHAIN), lines(files, ROUNDS)
    fee = found[of_kind(found, "FILL")]["payload"]["fee"]
    kinder = f"{fee[:-1]}{(int(fee[-1]) + 1) % 10}"
    files[CHAIN] = files[CHAIN].replace(f'"fee":"{fee}"'.encode(), f'"fee":"{kinder}"'.encode())
    for one in rounds:
        for fill in one["fills"]:
            fill["fee"] = kinder if fill["fee"] == fee else fill["fee"]
    put(files, ROUNDS, rounds)
    answer_with("trade/fills", re.escape(f'"fee":"{fee}"'), f'"fee":"{kinder}"')(files)


def another_library(files: Files, *names: str) -> None:
    """The manifest, and each of ``names``, with the other library, as far as its name goes."""
    adapters = {"okx_sdk": "python-okx", "ccxt": "ccxt"}
    found = json.loads(files[Artifact.MANIFEST])
    now = found["config"]["exchange"]["library"]
    other = next(one for one in adapters if one != now)
    if names:
        found["config"]["exchange"]["library"] = other
        found["exchange"]["library"]["name"] = adapters[other]
    found["exchange_lib"] = adapters[other]
    files[Artifact.MANIFEST] = pretty_bytes(found)
    for name in names:
        if name != Artifact.MANIFEST and not name.endswith(".npy"):
            before, after = (f'"{adapters[one]}"'.encode() for one in (now, other))
            files[name] = files[name].replace(before, after)


def the_same_world(files: Files) -> None:
    found = json.loads(files[Artifact.MANIFEST])
    found["exchange"]["world_difference"] = {"run_id": found["run_id"], "library": found["exchange_lib"]}
    files[Artifact.MANIFEST] = pretty_bytes(found)


def another_bootstrap(files: Files) -> None:
    """One agent less, in claim and world alike."""
    found = json.loads(files[Artifact.MANIFEST])
    found["exchange"]["bootstrap"] |= {"agents": 11, "allotted": "11000"}
    found["world"]["founders"] = 11
    files[Artifact.MANIFEST] = pretty_bytes(found)


KNOWN: dict[str, Callable[[Files], None]] = {
    "an order was never meant": drop("INTENT"),
    "a fill is left out": drop("FILL"),
    "a refusal to look is left out": drop("QUERY"),
    "an acknowledgement is left out": drop("ACK"),
    "the opening is left out": drop("OPENING"),
    "a fill is booked twice": chain_with(lambda f: f.insert(of_kind(f, "FILL"), dict(f[of_kind(f, "FILL")]))),
    "an order is meant after it was sent": chain_with(
        lambda f: f.insert(of_kind(f, "SENT"), f.pop(of_kind(f, "INTENT")))
    ),
    "two orders change places": chain_with(
        lambda f: f.insert(of_kind(f, "INTENT"), f.pop(of_kind(f, "INTENT", 1)))
    ),
    "more cash at the opening": payload("OPENING", cash="100001", equity="100001"),
    "a better fee at the opening": payload("OPENING", taker="-0.0004"),
    "a fill at a better price": payload("FILL", price_ticks=1),
    "another trade": payload("FILL", trade_id="7"),
    "a later expiry": payload("INTENT", expire_ms=1 << 50),
    "another run's order": payload("INTENT", run_id="AUDIT_20260102T030405Z_abcdef0_0000"),
    "reduce-only claimed": payload("INTENT", reduce_only=True),
    "acknowledged as another order": payload("ACK", order_id="1"),
    "cancelled, not filled": payload("TERMINAL", state="canceled"),
    "money reconciled that is not there": payload("RECONCILED", cash="123456"),
    "a bill that nobody sent": payload("RECONCILED", last_bill="1"),
    "an order sent twice": calls_with(sent_twice),
    "an order that never left": calls_with(without_the_post),
    "one lot less": one_lot_less,
    "a kinder fee": a_kinder_fee,
    "another contract": answer_with("public/instruments", '"ctVal":"0.01"', '"ctVal":"0.02"'),
    "another fee schedule": answer_with("account/trade-fee", "-0.0005", "-0.0004"),
    "a position that was not there": answer_with("account/positions", r'"pos":"(-?)(\d+)', r'"pos":"\g<1>9\2'),
    "another close": answer_with("market/candles", r'"(\d{5})\.(\d)","([^"]*)","([^"]*)","([^"]*)","1"\]',
                                 r'"\1.\g<2>1","\3","\4","\5","1"]'),
    "another book": answer_with("market/books", r'"bids":\[\["(\d+)', r'"bids":[["1\1'),
    "a round is left out": rounds_with(lambda f: f.pop(1)),
    "a round comes twice": rounds_with(lambda f: f.insert(1, f[1])),
    "a share for another agent": rounds_with(
        lambda f: f[0]["shares"].__setitem__(0, [f[0]["shares"][0][0], f[0]["shares"][0][1] + 1, 5])
    ),
    "an invariant that holds by word": rounds_with(lambda f: f[0]["residuals"][4].update(residual="0.001")),
    "a wider tolerance": rounds_with(lambda f: f[0]["residuals"][4].update(tolerance="1")),
    "surplus to the reserve": claim("exchange", "ended", "surplus", value="1"),
    "more equity at the end": claim("exchange", "ended", "equity_after", value="200000"),
    "flat by word": claim("exchange", "ended", "position_lots", value=3),
    "never halted": claim("exchange", "ended", "trading_state", value="HALTED"),
    "a demo that calls itself live": claim("mode", value="okx_live"),
    "no exchange at all": claim("mode", value="offline"),
    "no prevention": claim("self_trade_prevention", "execution_netting_enabled", value=False),
    "weaker detection": claim("self_trade_prevention", "self_trade_detection_capability", value="weak"),
    "positions by fills": claim("positions_quality", value="reconstructed_from_fills"),
    "another library by word": another_library,
    "another library in manifest and fingerprint": lambda files: another_library(files, Artifact.FINGERPRINT),
    "another library wherever one is named": lambda files: another_library(files, *sorted(files)),
    "another world than before, which is the same": the_same_world,
    "other bars": claim("market", "sha256", value="0" * 64),
    "fewer calls": claim("counts", "raw_samples", value=1),
    "another bootstrap": another_bootstrap,
    "the claim is gone": claim("exchange", value=None),
    "the configuration is gone": claim("config", "exchange", value=None),
    "an empty chain": lambda files: files.update({CHAIN: b""}),
    "an empty list of rounds": lambda files: files.update({ROUNDS: b""}),
    "a chain of nothing": lambda files: files.update({ROUNDS: b"{}\n"}),
    "rounds of lists": lambda files: files.update({ROUNDS: b"[[]]\n"}),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_forgeries_of_a_session_are_found(sealed, tmp_path, name):
    report = sealed.forge(tmp_path, KNOWN[name])
    assert report is not None
    assert report.exit_code is ExitCode.VERIFY_FAILED, report.lines()


def test_the_list_of_asserted_leaves_names_what_a_session_has(sealed):
    """Each name on the list is a leaf of some session: it is not longer than it must be."""
    there = {Forgery(name, None, path, None, None).field
             for name in sealed.files if not name.endswith(".npy")
             for _, record in sealed.rows(name) for path in paths(record)}  # fmt: skip
    forms = [re.compile(re.escape(one).replace(r"\*\*", ".*").replace(r"\*", "[^.]+")) for one in FREE_AT_EXCHANGE]
    unused = [form.pattern for form in forms if not any(form.fullmatch(one) for one in there)]
    seldom = ("payload\\.by", "payload\\.detail", "world_difference")
    assert [one for one in unused if not any(name in one for name in seldom)] == []


def paths(record: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(record, dict) and record:
        return [one for name, value in record.items() for one in paths(value, (*path, name))]
    if isinstance(record, list) and record:
        return [one for place, value in enumerate(record) for one in paths(value, (*path, place))]
    return [path]
