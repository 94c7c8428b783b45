"""What TAB knows of the command line, held against the commands themselves: ``prometheus/cli/completions.json``.

After a change: ``.venv/bin/python -m tests.test_completions > prometheus/cli/completions.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any, get_args

import typer.main

from prometheus.cli import main as cli
from prometheus.cli.completing import READERS, TABLE

METAVARS: Mapping[str, str] = {
    "RUN": "run", "RUN [OTHER]": "run", "OTHER": "run", "RUN|PATH...": "run", "[SNAPSHOT]...": "snapshot",
    "SNAPSHOT": "snapshot", "[INSTANCE]": "instance", "INSTANCE": "instance", "PROFILE": "profile", "MARKET": "market",
}  # fmt: skip
OPTIONS: Mapping[str, str] = {
    "--profile": "profile", "--instance": "instance", "--market": "market", "--run": "run", "--root": "root",
    "--config": "design",
}  # fmt: skip
ARGUMENTS: Mapping[tuple[str, ...], str] = {("market", "show"): "market", ("profile", "check"): "profile"}
TYPERS = {"--install-completion", "--show-completion"}


def choices_of(param: Any) -> list[str]:
    """The words of an enumeration; how a parameter tells it differs between versions of typer."""
    told = getattr(param, "type", None)
    if told is not None:
        return [getattr(one, "value", one) for one in getattr(told, "choices", ())]
    annotation = param.type_descriptor.annotation
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, Enum):
            return [member.value for member in one]
    return []


def kind_of(param: Any, path: tuple[str, ...]) -> Any:
    """What stands for a parameter: a name of a reader, choices, or a plain text; None for a flag."""
    if getattr(param, "is_flag", False):
        return None
    if choices := choices_of(param):
        return choices
    for name in param.opts:
        if name in OPTIONS:
            return OPTIONS[name]
    if not param.opts[0].startswith("-") and path in ARGUMENTS:
        return ARGUMENTS[path]
    return METAVARS.get(param.metavar or "", "text")


def node_of(command: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    options, arguments = {}, []
    for param in command.params:
        if getattr(param, "hidden", False) or TYPERS & set(param.opts):
            continue
        if param.opts[0].startswith("-"):
            about = (param.help or "").strip().split("\n")[0]
            options.update({name: [kind_of(param, path), about] for name in param.opts if name.startswith("--")})
        else:
            arguments.append(kind_of(param, path))
    inner = {name: node_of(one, (*path, name)) for name, one in sorted(getattr(command, "commands", {}).items())}
    made: dict[str, Any] = {"about": (command.help or "").strip().split("\n")[0], "options": options}
    return made | ({"arguments": arguments} if arguments else {}) | ({"commands": inner} if inner else {})


def text() -> str:
    return json.dumps(node_of(typer.main.get_command(cli.whole())), indent=1, sort_keys=True) + "\n"


def test_tab_knows_the_command_line_as_it_is():
    assert TABLE.read_text() == text()


def test_every_kind_of_name_has_a_reader_and_is_asked_for():
    said = TABLE.read_text()
    assert [kind for kind in READERS if f'"{kind}"' not in said] == []


if __name__ == "__main__":
    sys.stdout.write(text())
