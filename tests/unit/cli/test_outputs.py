"""No output of ours lands in a sealed place: every option that writes a file, against every place that is protected."""

from __future__ import annotations

from pathlib import Path

import pytest

from prometheus.v10.base.errors import HostError, UsageError
from prometheus.v10.base.outputs import OWNED, new_output, refuse_sealed_place
from prometheus.v10.base.paths import Layout

RUN = "HF_20260101T000000Z_1a2b3c4_0aaa"
PLACES = [
    f"runs_hf/{RUN}",
    "runs_hf",
    "runs",
    "pools/stage1",
    "pools",
    "state",
    "market",
    "gates",
    "etc",
    "etc/profiles",
]


@pytest.fixture
def house(layout: Layout, put) -> Path:
    run = put(RUN)
    (run / "SHA256SUMS.txt").touch()
    (run / "FILELIST.ls.txt").touch()
    layout.ledger.touch()
    for name in (*OWNED, "market", "etc/profiles"):
        (layout.lib / name).mkdir(parents=True, exist_ok=True)
    return layout.lib


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("known", [False, True])
def test_a_protected_place_is_refused_whether_the_root_is_named_or_not(house, layout, place, known):
    target = house / place / "out.svg"
    with pytest.raises(UsageError, match="would lie in") as refused:
        new_output(target, b"x", layout=layout if known else None)
    assert "name a place outside" in refused.value.hint
    assert not target.exists()


def test_relative_names_and_links_do_not_get_round_it(house, tmp_path, monkeypatch):
    run = house / "runs_hf" / RUN
    monkeypatch.chdir(run)
    for name in ("out.svg", "./a/../out.svg", f"../{RUN}/out.svg"):
        with pytest.raises(UsageError, match="break its seal"):
            refuse_sealed_place(Path(name))
    (tmp_path / "way").symlink_to(run)
    (tmp_path / "file.svg").symlink_to(run / "new.svg")
    for place in (tmp_path / "way" / "out.svg", tmp_path / "file.svg"):
        with pytest.raises(UsageError, match="break its seal"):
            refuse_sealed_place(place)


def test_a_run_that_was_copied_away_is_still_sealed(tmp_path):
    copy = tmp_path / "copied"
    (copy / "deep").mkdir(parents=True)
    for name in ("SHA256SUMS.txt", "FILELIST.ls.txt"):
        (copy / name).touch()
    with pytest.raises(UsageError, match="break its seal"):
        refuse_sealed_place(copy / "deep" / "x.svg")
    (copy / "FILELIST.ls.txt").unlink()  # a list of sums alone lies in many a folder of downloads
    refuse_sealed_place(copy / "deep" / "x.svg")


def test_beside_the_evidence_and_elsewhere_it_is_written_once(house, layout, tmp_path):
    for place in (house / "roi.svg", house / "index" / "x.svg", tmp_path / "state" / "x.svg", tmp_path / "x.svg"):
        place.parent.mkdir(exist_ok=True)
        new_output(place, b"x", layout=layout)
        assert place.read_bytes() == b"x"
        with pytest.raises(UsageError, match="exists"):
            new_output(place, b"y", layout=layout)
        assert place.read_bytes() == b"x"


@pytest.mark.parametrize("name", ["nowhere/x.svg", "n" * 300, f"{'n' * 300}/x.svg"])
def test_a_place_that_cannot_be_is_one_line(tmp_path, name):
    with pytest.raises((HostError, UsageError)):
        new_output(tmp_path / name, b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_an_operator_owns_on_a_host_is_his(monkeypatch):
    refuse_sealed_place(Path("/var/lib/prometheus-quant/roi.svg"))
    for place in (
        "/var/lib/prometheus-quant/state/x",
        "/etc/prometheus-quant/STOP",
        "/etc/prometheus-quant/profiles/x",
    ):
        with pytest.raises(UsageError):
            refuse_sealed_place(Path(place))
