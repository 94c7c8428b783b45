"""The shipped rules and dashboard: they ask for metrics and labels that are exported, and for nothing else."""

from __future__ import annotations

import json
import re

import pytest
import yaml  # type: ignore[import-untyped]

from prometheus.v10.ops.alerts.metric_table import FAMILIES

LABELS = {family.sample_name: {*family.labels, "instance"} for family in FAMILIES}
METRIC = re.compile(r"\bpq_(?!instance\b)\w+")
COMMAND = re.compile(r"(systemctl|journalctl|prometheus-quant) \S+")


@pytest.fixture(scope="module")
def rules(repository) -> list[dict]:
    text = (repository / "packaging/monitoring/prometheus-quant.rules.yml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def panels(repository) -> list[dict]:
    return json.loads((repository / "packaging/monitoring/grafana.json").read_text())["panels"]


def refuse_unknown(expression: str, shown: str = "") -> None:
    named = METRIC.findall(expression)
    assert named, expression
    for metric in named:
        assert metric in LABELS, expression
    known = set().union(*(LABELS[metric] for metric in named))
    said = {*re.findall(r'(\w+)!?=~?"', expression), *re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", shown)}
    for group in re.findall(r"\b(?:on|by) \(([\w, ]*)\)", expression):
        said |= set(re.findall(r"\w+", group))
    assert said <= known, (expression, said - known)


def test_every_rule_asks_for_what_is_exported(rules):
    for rule in rules:
        refuse_unknown(rule["expr"], json.dumps(rule["annotations"]))


def test_every_rule_says_what_to_type(rules):
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert COMMAND.match(rule["annotations"]["command"])
        assert rule["annotations"]["summary"].endswith(".")


def test_silence_and_what_people_forget_have_a_rule(rules):
    asked = {rule["expr"].split(" or ")[0].split(" and ")[0] for rule in rules}
    assert asked >= {
        "time() - pq_measured_timestamp_seconds > 600",
        "time() - pq_audit_timestamp_seconds > 26 * 3600",
        "time() - pq_checkpoint_timestamp_seconds > 7 * 86400",
        "pq_disk_full_timestamp_seconds - time() < 3 * 86400",
        "time() - pq_kill_switch_timestamp_seconds > 86400",
    }


def test_every_panel_asks_for_what_is_exported(panels):
    assert len({panel["id"] for panel in panels}) == len(panels) == len({panel["title"] for panel in panels})
    for panel in panels:
        for target in panel["targets"]:
            refuse_unknown(target["expr"], target["legendFormat"])


def test_no_two_panels_cover_each_other(panels):
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize(("expression", "shown"), [("pq_nothing", ""), ("1", ""), ("pq_up", "{{ $labels.stage }}"),
                                                   ('pq_runs_total{state="x"}', ""), ("pq_runs", "")])  # fmt: skip
def test_the_check_sees_what_is_not_exported(expression, shown):
    with pytest.raises(AssertionError):
        refuse_unknown(expression, shown)
