"""TAB: commands, options, and the names of runs, profiles, markets, instances and snapshots that are on the disk.

What the command line has is read from ``completions.json`` beside this module, which a test holds against the commands
themselves, so that a TAB imports none of them: neither typer nor rich, neither numpy nor numba. Standard library only.
Nothing here raises: a TAB that cannot be answered is answered with nothing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus.cli.places import COMPLETION, DEFAULT_ROOT
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import SNAPSHOT_PREFIX, is_instance, is_run_id
from prometheus.v10.base.paths import Layout

TABLE = Path(__file__).with_name("completions.json")
PROFILES = Path(__file__).parents[1] / "v10" / "runs" / "profiles"
DESIGNS = Path(__file__).parents[1] / "v10" / "gate" / "designs"
MOST = 200
"""Names that one TAB offers: the newest runs, and no more."""

Node = Mapping[str, Any]


def asked(environ: Mapping[str, str]) -> bool:
    """Whether a shell asks for completions that are answered here; its scripts are made by typer."""
    return environ.get(COMPLETION, "") in {"complete_bash", "complete_zsh", "complete_fish"}


def answer(environ: Mapping[str, str], names: Sequence[str] | None = None) -> int:
    """Print what fits the words typed so far, as the shell wants it.

    Args:
        environ: as the shell's script sets it.
        names: commands of the command line that asks; all by default.
    """
    shell = environ[COMPLETION].removeprefix("complete_")
    words, begun = _bash_words(environ) if shell == "bash" else _typed_words(environ)
    found: list[tuple[str, str]] = []
    with suppress(Exception):
        found = fitting(words, begun, names)
    if shell == "bash":
        sys.stdout.write("\n".join(value for value, _ in found))
    elif shell == "zsh":
        listed = "\n".join(_zsh(value, about) for value, about in found)
        sys.stdout.write(f"_arguments '*: :(({listed}))'" if found else "_files")
    elif environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    else:
        sys.stdout.write("\n".join(f"{value}\t{about}" if about else value for value, about in found))
    return 0


def fitting(words: Sequence[str], begun: str, names: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Values that may stand where ``begun`` is being typed after ``words``, each with what it means."""
    table: Node = json.loads(TABLE.read_text(encoding="utf-8"))
    node, place, root, due = table, 0, DEFAULT_ROOT, None
    for word in words:
        if due is not None:
            root = Path(word) if due == "root" else root
            due = None
        elif word.startswith("--") and "=" in word:
            root = Path(word.partition("=")[2]) if word.startswith("--root=") else root
        elif word.startswith("-"):
            due = node.get("options", {}).get(word, [None])[0]
        elif word in node.get("commands", {}):
            node, place = node["commands"][word], 0
        else:
            place += 1
    if due is not None:
        return _values(due, begun, root)
    if begun.startswith("-"):
        return [(name, about) for name, (_, about) in node.get("options", {}).items() if name.startswith(begun)]
    commands = {
        name: inner
        for name, inner in node.get("commands", {}).items()
        if node is not table or names is None or name in names
    }
    found = [(name, str(inner.get("about", ""))) for name, inner in commands.items() if name.startswith(begun)]
    arguments = node.get("arguments", [])
    if arguments:
        found += _values(arguments[min(place, len(arguments) - 1)], begun, root)
    return found


def _values(kind: str | list[str], begun: str, root: Path) -> list[tuple[str, str]]:
    if isinstance(kind, list):
        return [(value, "") for value in kind if value.startswith(begun)]
    reader = READERS.get(kind)
    if reader is None:
        return []
    layout = Layout.under(root)
    return [(value, "") for value in reader(layout) if value.startswith(begun)][:MOST]


# ---- names on the disk -----------------------------------------------------------------------------------------------


def _runs(layout: Layout) -> list[str]:
    found = [name for tier in Tier for name in _names(layout.runs(tier)) if is_run_id(name)]
    newest = sorted(found, key=lambda name: name.split("_")[1:], reverse=True)
    return [*newest, "latest"] if found else []


def _profiles(layout: Layout) -> list[str]:
    return sorted({_stem(name) for place in (layout.profiles, PROFILES) for name in _names(place, ".toml")})


def _designs(_layout: Layout) -> list[str]:
    return sorted(_stem(name) for name in _names(DESIGNS, ".toml"))


def _markets(layout: Layout) -> list[str]:
    return sorted(name for name in _names(layout.market) if (layout.market / name / "market.json").is_file())


def _instances(layout: Layout) -> list[str]:
    run = {name for name in _names(layout.state) if is_instance(name) and (layout.state / name).is_dir()}
    return sorted(run | {_stem(name) for name in _names(layout.profiles, ".toml")})


def _snapshots(layout: Layout) -> list[str]:
    files = (name for stage in Stage for name in _names(layout.snapshots(stage), ".jsonl"))
    return sorted(_stem(name).removeprefix(SNAPSHOT_PREFIX) for name in files)


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _names(folder: Path, suffix: str = "") -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(suffix)]  # noqa: PTH208  (names are enough)
    except OSError:
        return []


READERS: Mapping[str, Callable[[Layout], Iterable[str]]] = {
    "run": _runs, "profile": _profiles, "market": _markets, "instance": _instances, "snapshot": _snapshots,
    "design": _designs,
}  # fmt: skip


# ---- what shells send and want ---------------------------------------------------------------------------------------


def _bash_words(environ: Mapping[str, str]) -> tuple[list[str], str]:
    words = _split(environ.get("COMP_WORDS", ""))
    said = environ.get("COMP_CWORD", "")
    at = int(said) if said.isdecimal() else len(words)
    return words[1:at], words[at] if at < len(words) else ""


def _typed_words(environ: Mapping[str, str]) -> tuple[list[str], str]:
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    return (words, "") if line.endswith(" ") or not words else (words[:-1], words[-1])


def _split(line: str) -> list[str]:
    """Words of a line that may end within quotes."""
    reader = shlex.shlex(line, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(reader)
    except ValueError:
        words.append(reader.token)
    return words


def _zsh(value: str, about: str) -> str:
    def quoted(text: str) -> str:
        text = text.replace('"', '""').replace("'", "''")
        return re.sub(r"([$`])", r"\\\1", text).replace(":", r"\\:")

    return f'"{quoted(value)}":"{quoted(about)}"' if about else f'"{quoted(value)}"'
