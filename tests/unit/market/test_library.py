"""Markets by name: whole or absent, never written over, checked at every load; and what a profile's market means."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ConfigError, EvidenceError, HostError, UsageError
from prometheus.v10.market.resolve import MarketSpec, resolve_market
from prometheus.v10.market.sources.library import import_bars, list_markets, load_market, load_meta
from prometheus.v10.market.sources.native import MarketMeta
from prometheus.v10.market.sources.tables import Reading
from prometheus.v10.market.synthetic import synthetic


class FixedClock:
    def __init__(self) -> None:
        self.given = 0

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def token(self, n_hex: int) -> str:
        self.given += 1
        return f"{self.given:0{n_hex}x}"


CLOCK = FixedClock()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    bars = synthetic(1, 200, 3600)
    rows = [
        f"{t},SYN/USD,{o},{h},{low},{c},{v}"
        for t, o, h, low, c, v in zip(
            bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True
        )
    ]
    path = tmp_path / "syn.csv"
    path.write_text("unix,symbol,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "var" / "market"


def test_an_import_reads_back_and_its_record_says_where_it_came_from(source: Path, library: Path) -> None:
    meta = import_bars(source, "syn", library, clock=CLOCK)
    bars = load_market("syn", library)
    assert bars.sha256() == meta.bars_sha256
    assert (bars.close == synthetic(1, 200, 3600).close).all()
    assert load_meta("syn", library) == meta
    assert [m.name for m in list_markets(library)] == ["syn"]
    assert sorted(p.name for p in library.iterdir()) == ["syn"]
    record = json.loads((library / "syn" / "market.json").read_bytes())
    assert (library / "syn" / "market.json").read_bytes() == meta.to_json()
    assert record["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert record["source_bytes"] == source.stat().st_size
    assert record["imported_at"] == "2026-01-02T03:04:05.000000Z"
    assert {k for k, v in record.items() if v is None} == set(record["null_reasons"])
    assert record["bars_null_reasons"] == {"funding": "no funding series was given for this market"}


def test_the_record_of_the_real_file_holds_every_decision(spot_1h: Path, library: Path) -> None:
    meta = import_bars(spot_1h, "btc_1h", library, clock=CLOCK)
    sums = (spot_1h.parents[1] / "SHA256SUMS").read_text()
    assert f"{meta.source_sha256}  ./spot_btcusd_hourly/{spot_1h.name}" in sums or meta.source_sha256 in sums
    assert len(meta.decisions) == 8
    assert load_market("btc_1h", library).sha256() == meta.bars_sha256


def test_a_funding_series_is_part_of_the_record(binance_5m: Path, library: Path) -> None:
    meta = import_bars(binance_5m, "bin", library, clock=CLOCK)
    assert meta.funding_file == "BTC_USDT_USDT-8h-funding_rate.feather"
    assert meta.funding_unknown_rows == 66
    assert set(meta.null_reasons) == {"previous_sha256"}
    assert load_market("bin", library).null_reasons == meta.bars_null_reasons


def test_a_name_is_never_written_over(source: Path, library: Path) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    before = (library / "syn" / "market.json").read_bytes()
    with pytest.raises(UsageError, match="already"):
        import_bars(source, "syn", library, clock=CLOCK)
    assert (library / "syn" / "market.json").read_bytes() == before


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/etc", "a b", "a\n", "ä", ".hidden", "-rf", "x" * 65, "synthetic", "a.csv", "a\0b"],
)
def test_a_hostile_name_is_refused_before_anything_is_touched(source: Path, library: Path, name: str) -> None:
    for use in (lambda: import_bars(source, name, library, clock=CLOCK), lambda: load_market(name, library)):
        with pytest.raises(UsageError, match="cannot be used"):
            use()
    assert not library.exists()


def test_of_many_imports_at_once_one_wins_and_the_others_say_so(source: Path, library: Path) -> None:
    together = Barrier(6)

    def race(_: int) -> str:
        together.wait()
        try:
            return import_bars(source, "syn", library, clock=SystemClock()).name
        except UsageError as error:
            return error.message

    with ThreadPoolExecutor(6) as threads:
        said = list(threads.map(race, range(6)))
    assert said.count("syn") == 1
    assert all("already" in one for one in said if one != "syn")
    assert [p.name for p in library.iterdir()] == ["syn"]
    assert len(load_market("syn", library)) == 200


def test_a_name_that_is_a_link_is_refused(source: Path, library: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    import_bars(source, "syn", elsewhere, clock=CLOCK)
    library.mkdir(parents=True)
    (library / "syn").symlink_to(elsewhere / "syn")
    with pytest.raises(UsageError, match="symbolic link"):
        load_market("syn", library)
    assert list_markets(library) == []


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("at", [-1, -1000, 200])
def test_a_flipped_bit_in_the_bars_is_damaged_evidence(source: Path, library: Path, at: int) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    flip(library / "syn" / "bars.npy", at)
    with pytest.raises(EvidenceError, match=r"bars\.npy") as refused:
        load_market("syn", library)
    assert refused.value.exit_code == 65


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"schema": "other"}', "null"],
    ids=["empty", "cut", "list", "bare", "schema", "null"],
)
def test_a_record_that_is_none_is_damaged_evidence(source: Path, library: Path, content: str) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    record = library / "syn" / "market.json"
    record.chmod(0o644)
    record.write_text(content)
    with pytest.raises(EvidenceError, match=r"market\.json"):
        load_market("syn", library)
    with pytest.raises(EvidenceError, match=r"market\.json"):
        list_markets(library)


def test_a_record_edited_to_another_name_is_damaged_evidence(source: Path, library: Path) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    record = library / "syn" / "market.json"
    record.chmod(0o644)
    record.write_text(record.read_text().replace("SYN/USD", "BTC/USD"))
    with pytest.raises(EvidenceError, match="sha256"):
        load_market("syn", library)


def test_an_unknown_name_is_a_mistake_of_configuration(library: Path) -> None:
    with pytest.raises(ConfigError, match="no such market"):
        load_market("nothing", library)
    assert list_markets(library) == []


def test_a_refused_source_leaves_nothing(library: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("unix,symbol,open,high,low,close,volume\n0,X,1,1,1,1,1\n3600,X,1,1,1,nan,1\n")
    with pytest.raises(ConfigError, match="line 3"):
        import_bars(bad, "bad", library, clock=CLOCK)
    assert not library.exists() or list(library.iterdir()) == []


def test_a_library_that_cannot_be_written_says_so(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot store market"):
        import_bars(source, "syn", tmp_path / "file" / "market", clock=CLOCK)


def test_what_was_left_aside_by_a_cut_off_import_is_no_market(source: Path, library: Path) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    (library / "syn").rename(library / ".incoming-syn-dead")
    assert list_markets(library) == []
    import_bars(source, "syn", library, clock=CLOCK)
    assert load_market("syn", library).symbol == "SYN/USD"


def test_a_market_moves_from_library_to_library(source: Path, library: Path, tmp_path: Path) -> None:
    first = import_bars(source, "syn", library, clock=CLOCK)
    second = import_bars(library / "syn" / "bars.npy", "copy", tmp_path / "other", clock=CLOCK)
    assert second.bars_sha256 == first.bars_sha256
    assert any("copied from stored market 'syn'" in said for said in second.decisions)
    with pytest.raises(ConfigError, match="does not change"):
        import_bars(
            library / "syn" / "bars.npy", "c2", tmp_path / "other", clock=CLOCK, reading=Reading(timeframe_s=60)
        )


def test_every_field_of_the_record_is_checked(source: Path, library: Path) -> None:
    record = json.loads(import_bars(source, "syn", library, clock=CLOCK).to_json())
    assert MarketMeta(**record).to_json() == (library / "syn" / "market.json").read_bytes()
    for name in ("rows", "bars_sha256", "decisions", "bars_null_reasons"):
        with pytest.raises((TypeError, AttributeError)):
            MarketMeta(**{**record, name: None})


def test_a_profile_may_mean_the_synthetic_market_a_name_or_a_file(source: Path, library: Path) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    assert (
        resolve_market(MarketSpec(seed=4, bars=50, timeframe_s=300), library).sha256() == synthetic(4, 50, 300).sha256()
    )
    stored = load_market("syn", library)
    assert resolve_market(MarketSpec(source="syn"), library).sha256() == stored.sha256()
    assert resolve_market(MarketSpec(source=str(source)), library).sha256() == stored.sha256()
    assert resolve_market(MarketSpec(source=str(library / "syn" / "bars.npy")), library).sha256() == stored.sha256()
    four_hours = resolve_market(MarketSpec(source="syn", timeframe_s=14_400, bars=10), library)
    assert (four_hours.timeframe_s, len(four_hours)) == (14_400, 10)
    later = resolve_market(MarketSpec(source="syn", start=stored.first_open + 36_000, bars=5), library)
    assert later.sha256() == stored.slice(10, 5).sha256()


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (MarketSpec(source="none"), "no such market"),
        (MarketSpec(source="./none.csv"), "no such file"),
        (MarketSpec(source="syn", symbol="ETH"), "holds SYN/USD, not ETH"),
        (MarketSpec(source="syn", bars=201), "has 200 in all"),
        (MarketSpec(source="syn", bars=0), "0 bars"),
        (MarketSpec(source="syn", start=7), "no bar opens at 7"),
        (MarketSpec(source="syn", timeframe_s=5400), "not a multiple"),
    ],
)
def test_a_market_that_cannot_be_had_is_refused(source: Path, library: Path, spec: MarketSpec, what: str) -> None:
    import_bars(source, "syn", library, clock=CLOCK)
    with pytest.raises(ConfigError, match=what):
        resolve_market(spec, library)
