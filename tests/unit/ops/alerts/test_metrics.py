"""Figures for a monitoring system: the format, what is counted, and that nothing of an installation is changed."""

from __future__ import annotations

import json
import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.cli import main as cli
from prometheus.v10.base.errors import HostError, UsageError
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.ops.alerts import metric_table as m
from prometheus.v10.ops.alerts.counted import FILE, Counted, read_counted
from prometheus.v10.ops.alerts.measuring import ONE_SHOTS, measure
from prometheus.v10.ops.alerts.open_metrics import Family, Kind, MetricsError, Sample, one, parsed, rendered
from prometheus.v10.ops.alerts.textfile import write_textfile
from tests.callbacks import never
from tests.unit.ops.alerts.house import seal_run
from tests.unit.ops.host_stand_in import FakeSystemd

GAUGE = Family("pq_size_bytes", Kind.GAUGE, "How large.", "bytes", ("name",))
COUNTER = Family("pq_ends", Kind.COUNTER, "How often.")
GOOD = rendered([Sample(GAUGE, 3, ("a",)), Sample(GAUGE, 1.5, ("b",)), Sample(COUNTER, 7)])


# ---- the format ------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again():
    found = parsed(GOOD)
    assert one(found, "pq_size_bytes", name="b") == 1.5
    assert one(found, "pq_ends_total") == 7
    assert found["pq_ends_total"].kind == "counter"
    assert found["pq_size_bytes"].unit == "bytes"


@given(st.text(alphabet=st.sampled_from(string.printable + "é\u202e"), max_size=12), st.floats(0, 1e12))
def test_any_label_and_figure_comes_back(text, value):
    found = parsed(rendered([Sample(GAUGE, value, (text,))]))
    assert one(found, "pq_size_bytes", name=text) == value


@pytest.mark.parametrize(
    "sample",
    [Sample(GAUGE, 1), Sample(GAUGE, float("nan"), ("a",)), Sample(COUNTER, -1), Sample(COUNTER, float("inf"))],
)
def test_a_sample_that_is_not_its_familys_is_refused(sample):
    with pytest.raises(ValueError, match="pq_"):
        rendered([sample])


def test_a_figure_is_given_once():
    with pytest.raises(ValueError, match="twice"):
        rendered([Sample(COUNTER, 1), Sample(COUNTER, 2)])


@pytest.mark.parametrize(
    "change",
    [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF"),
        ("# EOF\n", "# EOF\n\n"),
        ("# EOF\n", "pq_size_bytes 1\n# EOF\n"),
        ("# EOF\n", "# TYPE pq_size_bytes gauge\n# EOF\n"),
        ("# EOF\n", "\n# EOF\n"),
        ("pq_ends_total 7", "pq_ends_total 7 1796011528"),
        ("pq_ends_total 7", "pq_ends 7"),
        ("pq_ends_total 7", "pq_ends_total -7"),
        ("pq_ends_total 7", "pq_ends_total NaN"),
        ("pq_ends_total 7", "pq_ends_total seven"),
        ("pq_ends_total 7", "pq_ends_total 1_0"),
        ("pq_ends_total 7", "pq_ends_total  7"),
        ("pq_ends_total 7", "pq_ends_total 7\npq_ends_total 8"),
        ("pq_ends_total 7\n", ""),
        ("# TYPE pq_ends counter", "# TYPE pq_ends info"),
        ("# TYPE pq_ends counter\n", ""),
        ("# HELP pq_ends How often.\n", ""),
        ("# UNIT pq_size_bytes bytes", "# UNIT pq_size_bytes seconds"),
        ('{name="a"}', '{name="a",}'),
        ('{name="a"}', '{name="a",name="b"}'),
        ('{name="a"}', "{name=a}"),
        ('{name="a"}', '{name="a\\x"}'),
        ('{name="a"}', '{name="b"}'),
    ],
)
def test_a_text_that_breaks_a_rule_is_refused(change):
    before, after = change
    assert before in GOOD
    with pytest.raises(MetricsError):
        parsed(GOOD.replace(before, after, 1))


def test_every_metric_of_the_table_keeps_the_rules_of_names():
    text = rendered(Sample(family, 1, ("x",) * len(family.labels)) for family in m.FAMILIES)
    assert len(parsed(text)) == len(m.FAMILIES) > 30
    assert all(family.about.endswith(".") for family in m.FAMILIES)
    assert not any("run_id" in family.labels for family in m.FAMILIES)


# ---- what is counted -------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(layout, fake_clock) -> InstallationLedger:
    return InstallationLedger(layout, clock=fake_clock, instance="HF", on_torn=never)


@pytest.fixture
def sums(layout, fake_clock):
    """Figures of now, by name and labels, counted on from what was kept."""
    kept = [Counted()]

    def look(systemd=None, **changes):
        done = measure(layout, systemd, fake_clock, kept[0], **changes)
        kept[0] = done.counted
        return parsed(rendered(done.samples))

    return look


def test_sums_grow_with_the_ledger_and_stay_when_retention_deletes(layout, ledger, sums, repository):
    first = seal_run(layout, ledger, repository, 1)
    found = sums()
    assert one(found, "pq_runs_total", pq_instance="HF", status="completed") == 1
    assert one(found, "pq_deaths_total", pq_instance="HF") == 150
    assert one(found, "pq_collapses_total", pq_instance="HF", reason="extinction") == 1
    for place in first.iterdir():
        place.unlink()
    first.rmdir()
    seal_run(layout, ledger, repository, 2)
    found = sums()
    assert one(found, "pq_runs_total", pq_instance="HF", status="completed") == 2
    assert one(found, "pq_deaths_total", pq_instance="HF") == 300
    assert one(found, "pq_agent_ticks_total", pq_instance="HF") == 2_500_000
    assert one(found, "pq_manifests_unread_total") == 0


def test_no_line_of_the_ledger_is_counted_twice(layout, ledger, sums, repository):
    for number in range(1, 4):
        seal_run(layout, ledger, repository, number)
        for _ in range(2):
            found = sums(at_most=2500)
    while one(found, "pq_ledger_behind_bytes"):
        found = sums(at_most=2500)
    assert one(found, "pq_runs_total", pq_instance="HF", status="completed") == 3
    assert one(found, "pq_ledger_entries") == 1 + 3 * 2


def test_another_ledger_is_counted_anew(layout, ledger, sums, repository):
    seal_run(layout, ledger, repository, 1)
    seal_run(layout, ledger, repository, 2)
    sums()
    lines = layout.ledger.read_bytes().splitlines(keepends=True)
    layout.ledger.write_bytes(b"".join(lines[:3]))
    assert one(sums(), "pq_runs_total", pq_instance="HF", status="completed") == 1
    layout.ledger.unlink()
    assert one(sums(), "pq_runs_total", pq_instance="HF", status="completed") is None


def test_a_damaged_ledger_is_told_and_the_sums_stay(layout, ledger, sums, repository):
    seal_run(layout, ledger, repository, 1)
    sums()
    with layout.ledger.open("ab") as stream:
        stream.write(b'{"n":99}\n')
    found = sums()
    assert one(found, "pq_blind") >= 1
    assert one(found, "pq_runs_total", pq_instance="HF", status="completed") == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"counts":{"deaths":"x"}}', b'{"counts":{"deaths":-1}}'])
def test_a_manifest_that_tells_nothing_is_counted_as_such(layout, ledger, sums, repository, content):
    run = seal_run(layout, ledger, repository, 1)
    (run / "run_manifest.json").write_bytes(content)
    found = sums()
    assert one(found, "pq_manifests_unread_total") == 1
    assert one(found, "pq_deaths_total", pq_instance="HF") is None


def test_units_and_the_audit_are_those_of_systemd(layout, sums):
    audit = {
        "ActiveState": "failed",
        "ExecMainStatus": "1",
        "ExecMainExitTimestamp": "@1767323000",
        "Result": "exit-code",
    }
    systemd = FakeSystemd({}, properties={"prometheus-audit.service": audit}).manager()
    found = sums(systemd)
    unit = {"unit": "prometheus-audit.service"}
    assert [one(found, name, **unit) for name in ("pq_unit_failed", "pq_unit_exit_status")] == [1, 1]
    assert (one(found, "pq_audit_passed"), one(found, "pq_audit_timestamp_seconds")) == (0, 1767323000)
    # After a boot systemd knows of no audit: the last one is still the last one.
    found = sums(FakeSystemd({}, properties={"prometheus-audit.service": {"ActiveState": "inactive"}}).manager())
    assert (one(found, "pq_audit_passed"), one(found, "pq_audit_timestamp_seconds")) == (0, 1767323000)
    assert one(found, "pq_unit_failed", **unit) == 0


def test_units_that_are_named_exist(repository):
    assert {f"{name}.service" for name in ONE_SHOTS} <= {path.name for path in (repository / "units").iterdir()}


# ---- the file --------------------------------------------------------------------------------------------------------


def test_the_file_is_whole_readable_and_beside_nothing_half_done(layout, ledger, fake_clock, repository, tmp_path):
    seal_run(layout, ledger, repository, 1)
    place = tmp_path / "prometheus_quant.prom"
    before = {path: path.read_bytes() for path in layout.lib.rglob("*") if path.is_file()}
    for _ in range(2):
        write_textfile(layout, place, None, fake_clock)
    assert one(parsed(place.read_text()), "pq_runs_total", pq_instance="HF", status="completed") == 1
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {place.name, FILE}
    assert place.stat().st_mode & 0o777 == 0o644
    assert {path: path.read_bytes() for path in layout.lib.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"n":-1}', b'{"runs":{"HF":"x"}}', b'{"other":1}', b'{"runs":3}'])
def test_kept_sums_that_are_not_in_their_form_are_made_anew(layout, ledger, fake_clock, repository, tmp_path, kept):
    seal_run(layout, ledger, repository, 1)
    (tmp_path / FILE).write_bytes(kept)
    assert read_counted(tmp_path / FILE) == Counted()
    place = tmp_path / "x.prom"
    write_textfile(layout, place, None, fake_clock)
    assert one(parsed(place.read_text()), "pq_runs_total", pq_instance="HF", status="completed") == 1


def test_a_file_that_is_not_ours_is_never_replaced(layout, fake_clock, tmp_path):
    foreign = tmp_path / "node.prom"
    foreign.write_text("node_up 1\n")
    (tmp_path / "link.prom").symlink_to(foreign)
    for place in (foreign, tmp_path / "link.prom", tmp_path / "x.txt", layout.state / "x.prom"):
        with pytest.raises(UsageError):
            write_textfile(layout, place, None, fake_clock)
    with pytest.raises(HostError, match="no directory"):
        write_textfile(layout, tmp_path / "no" / "x.prom", None, fake_clock)
    assert foreign.read_text() == "node_up 1\n"
    assert not os.path.lexists(layout.state / "x.prom")


def test_the_command_prints_what_it_would_write(layout, ledger, repository, capsys):
    seal_run(layout, ledger, repository, 1)
    assert cli.main(["metrics", "--root", str(layout.lib)]) == 0
    found = parsed(capsys.readouterr().out)
    assert one(found, "pq_births_total", pq_instance="HF") == 40
    assert cli.main(["metrics", "--root", str(layout.lib), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {(f["name"], *f["labels"].values()) for f in said["figures"]} >= {("pq_runs_total", "HF", "completed")}
