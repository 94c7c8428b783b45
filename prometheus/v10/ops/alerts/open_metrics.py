"""The OpenMetrics text format, as far as we write it: gauges and counters, without timestamps.

Source: the OpenMetrics specification 1.0, section "Text format". A file that keeps it is also read by the older text
format 0.0.4 of Prometheus, which is what the textfile collector of node_exporter reads: that one takes ``# UNIT`` and
``# EOF`` for comments, knows no other kinds of metric, and refuses a file that carries a timestamp. Standard library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

END = "# EOF"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
_SAMPLE = re.compile(r"([a-z][a-z0-9_]*)(?:\{(.*)\})? (\S+)")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Kind(StrEnum):
    """Of a metric; each is a kind of the older format, too."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True)
class Family:
    """A metric: one name, one kind, one meaning.

    Attributes:
        name: without the ``_total`` of a counter's samples.
        about: what it counts or measures, one sentence.
        unit: the last word of ``name``, or empty.
        labels: names of the labels that every sample carries.
    """

    name: str
    kind: Kind
    about: str
    unit: str = ""
    labels: tuple[str, ...] = ()

    @property
    def sample_name(self) -> str:
        """What a sample of it is called, and what a query names."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


@dataclass(frozen=True)
class Sample:
    """One figure: its labels in the order of its family's names."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


class MetricsError(ValueError):
    """A text is not in the format; the message names the line."""


def rendered(samples: Iterable[Sample]) -> str:
    """Samples as a text: each family once, in the order in which they first come, its labels sorted.

    Raises:
        ValueError: for a sample that is not its family's: other labels, no number, a counter below zero, a figure given
            twice.
    """
    families: dict[str, dict[tuple[str, ...], Sample]] = {}
    for sample in samples:
        _refuse_wrong(sample)
        rows = families.setdefault(sample.family.name, {})
        if sample.labels in rows:
            raise ValueError(f"{sample.family.name} {sample.labels} is given twice")
        rows[sample.labels] = sample
    lines: list[str] = []
    for rows in families.values():
        family = next(iter(rows.values())).family
        lines.append(f"# TYPE {family.name} {family.kind}")
        if family.unit:
            lines.append(f"# UNIT {family.name} {family.unit}")
        lines.append(f"# HELP {family.name} {_escaped(family.about)}")
        for labels, sample in sorted(rows.items()):
            pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in zip(family.labels, labels, strict=True))
            lines.append(f"{family.sample_name}{f'{{{pairs}}}' if pairs else ''} {_number(sample.value)}")
    return "\n".join([*lines, END]) + "\n"


def _refuse_wrong(sample: Sample) -> None:
    family = sample.family
    if len(sample.labels) != len(family.labels):
        raise ValueError(f"{family.name} has the labels {family.labels}, not {sample.labels}")
    if not math.isfinite(sample.value) or (family.kind is Kind.COUNTER and sample.value < 0):
        raise ValueError(f"{family.name} cannot be {sample.value}")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1 << 53 else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass
class Read:
    """A metric as it was read; ``samples`` by their labels, sorted by name."""

    kind: str
    about: str = ""
    unit: str = ""
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


def parsed(text: str) -> dict[str, Read]:
    """Metrics of a text by the names of their samples (a counter's ends in ``_total``).

    Every rule of the format that concerns gauges and counters is checked, and what we never write is refused:
    timestamps, exemplars, other kinds of metric, a metric without a kind or a help.

    Raises:
        MetricsError: at the first line that breaks a rule.
    """
    lines = text.split("\n")
    if lines[-2:] != [END, ""]:
        raise MetricsError(f"the text does not end in {END} and a newline")
    found: dict[str, Read] = {}
    name, seen = "", set[str]()
    for number, line in enumerate(lines[:-2], 1):
        try:
            if line.startswith("# "):
                name = _take_about(found, seen, name, line)
            else:
                _take_sample(found, name, line)
        except ValueError as error:
            raise MetricsError(f"line {number}: {error}") from None
    empty = [name for name, read in found.items() if not read.samples or not read.about]
    if empty:
        raise MetricsError(f"{empty[0]} has no sample or no help")
    return {f"{name}_total" if read.kind == Kind.COUNTER else name: read for name, read in found.items()}


def _take_about(found: dict[str, Read], seen: set[str], current: str, line: str) -> str:
    """A line that begins with ``#``; returns the name of the metric that it is about."""
    parts = line.split(" ", 3)
    if len(parts) != 4 or not _NAME.fullmatch(parts[2]):
        raise ValueError("not a TYPE, UNIT or HELP of a metric")
    _, word, name, said = parts
    if word == "TYPE":
        if name in found:
            raise ValueError(f"{name} has two TYPE lines, or its samples do not stand together")
        found[name] = Read(kind=Kind(said))
        seen.clear()
    if name not in found or (word != "TYPE" and name != current) or found[name].samples or word in seen:
        raise ValueError(f"{word} of {name} stands where it may not")
    seen.add(word)
    if word == "UNIT":
        if not name.endswith(f"_{said}"):
            raise ValueError(f"{name} does not end in its unit {said}")
        found[name].unit = said
    elif word == "HELP":
        found[name].about = _plain(said)
    elif word != "TYPE":
        raise ValueError(f"{word} is no word of the format")
    return name


def _take_sample(found: dict[str, Read], current: str, line: str) -> None:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError("not a sample without a timestamp")
    read = found.get(current)
    if read is None or match[1] != (f"{current}_total" if read.kind == Kind.COUNTER else current):
        raise ValueError(f"{match[1]} is no sample of {current or 'a metric'}")
    if not _NUMBER.fullmatch(match[3]):
        raise ValueError(f"{match[3]} is no number")
    value = float(match[3])
    if read.kind == Kind.COUNTER and not value >= 0:
        raise ValueError(f"a counter cannot be {match[3]}")
    labels = _labels(match[2] or "")
    if labels in read.samples:
        raise ValueError(f"{match[1]} {dict(labels)} stands twice")
    read.samples[labels] = value


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None or (match[3] == "," and match.end() == len(text)) or match[1] in pairs:
            raise ValueError(f"labels {text!r} are not in their form")
        pairs[match[1]] = _plain(match[2])
        at = match.end()
    return tuple(sorted(pairs.items()))


def _plain(text: str) -> str:
    return re.sub(r'\\[\\"n]', lambda found: _ESCAPES[found[0]], text)


def one(found: Mapping[str, Read], name: str, /, **labels: str) -> float | None:
    """The figure of a sample's name and labels; None where it was not given."""
    read = found.get(name)
    return None if read is None else read.samples.get(tuple(sorted(labels.items())))
