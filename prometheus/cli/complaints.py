"""What is wrong with a command line, in one line of ours: what was typed, what was expected, what may have been meant.

A word that is no command is never answered with one that acts (``stop`` for ``top``), unless its letters are the same
or it is the beginning of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import typer

from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.text import printable

# The base of typer's own complaints about a command line; its place among typer's modules differs between versions.
BAD_COMMAND_LINE: type[Exception] = typer.BadParameter.__bases__[0]

ACTING = frozenset(["run", "stop", "clear-stop", "promote", "retention", "release", "custodian", "gate", "import",
                    "create", "lock", "rollback", "use", "load", "push", "restore"])  # fmt: skip
"""Commands that change something: a mistyped word does not lead to one."""
MEANT: Mapping[str, Sequence[str]] = {
    "top": ("watch", "status"), "live": ("watch", "status"), "ps": ("status",), "state": ("status",),
    "ls": ("list", "show", "runs list"), "list": ("list", "show", "runs list"), "show": ("show", "list", "runs show"),
    "compare": ("runs diff", "diff"), "diff": ("runs diff", "diff"), "check": ("verify", "doctor", "check"),
    "best": ("pool best",), "find": ("genome find",), "import": ("market import",), "bars": ("market list",),
    "history": ("runs list", "ledger show"), "log": ("ledger show",), "logs": ("ledger show",),
    "runs": ("runs list",), "version": ("--version",), "profiles": ("profile check",), "genomes": ("pool show",),
}  # fmt: skip
"""Words of other programs, and what they are called here; the first that the command line has is offered."""
SAID_BY_PROFILE = frozenset(["--mode", "--stage", "--founders", "--window", "--bars", "--arm", "--config"])
LETTERS_ALIKE = 0.6


def path_of(command: Any, words: Iterable[str]) -> list[str]:
    """The names of the command that a command line calls: ``["pool", "show"]``."""
    path = []
    for word in words:
        inner = getattr(command, "commands", None)
        if not inner:
            break
        if word in inner:
            path.append(word)
            command = inner[word]
    return path


def complaint_of(error: Any, command: Any, words: Sequence[str], name: str) -> UsageError | None:
    """Typer's complaint in our words; None for the command alone, whose help is the answer."""
    context = getattr(error, "ctx", None)
    asked = context.command if context is not None else command
    where = str(context.command_path) if context is not None else " ".join([name, *path_of(command, words)])
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    return _unknown(error, asked, words, where, name) or _unfit(error, asked, words, where, name)


def _unknown(error: Any, asked: Any, words: Sequence[str], where: str, name: str) -> UsageError | None:
    """The complaint about a command or an option that there is not; None for others."""
    said, called = str(error.message), where.removeprefix(name).strip()
    if said.startswith("Missing command"):
        there = ", ".join(sorted(asked.commands))
        return UsageError(f"{called or name} needs a command", hint=f"there are: {there}; {where} --help")
    if (match := re.match(r"No such command ['\"](.*?)['\"]", said)) is not None:
        return _unknown_command(match[1], asked, where, called)
    option = getattr(error, "option_name", None)
    if option is None:
        return None
    if "argument" in said:
        return UsageError(f"{option} needs a value", hint=f"{where} --help")
    return _unknown_option(str(option), asked, words, where)


def _unfit(error: Any, asked: Any, words: Sequence[str], where: str, name: str) -> UsageError:
    """The complaint about what a command was given, or was not."""
    said, called = str(error.message), where.removeprefix(name).strip() or name
    if type(error).__name__ == "MissingParameter":
        return _missing(error, called, where)
    if (match := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", said)) is not None:
        return _too_much(match[1], asked, called, where)
    if getattr(error, "param", None) is not None:
        return _bad_value(error, said, words, where)
    return UsageError(_plain(str(error.format_message())), hint=f"{where} --help")


# ---- commands --------------------------------------------------------------------------------------------------------


def _unknown_command(word: str, group: Any, where: str, called: str) -> UsageError:
    names = list(getattr(group, "commands", {}))
    whole = set(_paths(group))
    meant = next((one for one in MEANT.get(word.lower(), ()) if one in whole or one.startswith("-")), None)
    if meant is None:
        meant = next(iter(_alike(word.lower(), names)), None)
    of = f" of {called}" if called else ""
    known = f"there are: {', '.join(sorted(names))}" if called else f"{where} --help lists the commands"
    hint = f"did you mean '{where} {meant}'? {known}" if meant is not None else known
    return UsageError(f"there is no command {printable(word)!r}{of}", hint=hint)


def _paths(group: Any, before: str = "") -> Iterator[str]:
    """Every command below a group; a group that is only announced is known by its name alone."""
    for name, inner in getattr(group, "commands", {}).items():
        yield f"{before}{name}"
        if name in GROUPS and not getattr(inner, "commands", None):
            yield from (f"{before}{name} {one}" for one in GROUPS[name])
        yield from _paths(inner, f"{before}{name} ")


GROUPS: Mapping[str, Sequence[str]] = {
    "runs": ("list", "show", "diff"), "pool": ("show", "best"), "genome": ("show", "find"), "ledger": ("show",),
    "market": ("import", "list"), "profile": ("check",),
}  # fmt: skip
"""Commands of groups that are not imported when another word is typed, as far as `MEANT` names them."""


def _alike(word: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    sure = [name for name in names if sorted(name) == sorted(word) or (len(word) >= 3 and name.startswith(word))]
    return sure or get_close_matches(word, [name for name in names if name not in ACTING], cutoff=LETTERS_ALIKE)


# ---- options and arguments -------------------------------------------------------------------------------------------


def _unknown_option(option: str, command: Any, words: Sequence[str], where: str) -> UsageError:
    shown = printable(option)
    names = [name for one in command.params for name in one.opts if name.startswith("--")]
    inner = getattr(command, "commands", {})
    named = next((word for word in words if word in inner), None)
    if named is not None:  # an option of a command, before its name
        return UsageError(f"{shown} stands before the command", hint=f"put it behind: {where} {named} … {shown}")
    if option in SAID_BY_PROFILE and "--profile" in names:
        return UsageError(f"there is no option {shown}", hint=f"the profile says it: --profile NAME; {where} --help")
    alike = get_close_matches(option, names, n=1, cutoff=0.7)
    hint = f"did you mean {alike[0]}? {where} --help" if alike else f"{where} --help lists the options"
    return UsageError(f"there is no option {shown}", hint=hint)


def _missing(error: Any, called: str, where: str) -> UsageError:
    param = error.param
    name = _name(param)
    kind = "option" if name.startswith("-") else "argument"
    told = " ".join((getattr(param, "help", None) or "").split())
    hint = f"{where} --help; {name} is: {told}" if told else f"{where} --help"
    return UsageError(f"{called} needs the {kind} {name}", hint=hint)


def _too_much(extra: str, command: Any, called: str, where: str) -> UsageError:
    names = {name for one in command.params for name in one.opts}
    hint = f"{where} --help"
    if "--profile" in names and re.fullmatch(r"[\w./-]+", extra):
        hint = f"did you mean --profile {extra}? {hint}"
    elif "--instance" in names and re.fullmatch(r"[\w.]+", extra):
        hint = f"did you mean --instance {extra}? {hint}"
    return UsageError(f"{called} takes nothing more: {printable(extra)!r} is too much", hint=hint)


def _bad_value(error: Any, said: str, words: Sequence[str], where: str) -> UsageError:
    name, typed = _typed(words, error.param) or (_name(error.param), None)
    shown = name if typed is None else f"{name} {printable(typed)}"
    return UsageError(f"{shown}: {_expected(said)}", hint=f"{where} --help")


def _expected(said: str) -> str:
    """What a library says of a value, as what was expected."""
    said = _plain(said)
    if (match := re.search(r"(?:is not one of|expected|should be) ((?:'[^']*'(?:, | or )?)+)", said)) is not None:
        return "expected " + " or ".join(re.findall(r"'([^']*)'", match[1]))
    bounds = re.search(r"(greater|less) than (or equal to )?([-\d.]+)", said) or re.search(r"(x)(>=?)([-\d.]+)", said)
    if bounds is not None:
        words = {"greater": "above", "less": "below", "x": "above"}[bounds[1]]
        if bounds[2] and bounds[2] != ">":
            words = "at most" if bounds[1] == "less" else "at least"
        return f"expected {words} {bounds[3]}"
    if "integer" in said:
        return "expected a whole number"
    return "expected a number" if re.search(r"valid (number|float)", said) else said


def _typed(words: Sequence[str], param: Any) -> tuple[str, str] | None:
    """An option as it was typed, and what was typed for it."""
    for at, word in enumerate(words):
        for name in param.opts:
            if word == name and at + 1 < len(words):
                return name, words[at + 1]
            if name.startswith("--") and word.startswith(f"{name}="):
                return name, word.partition("=")[2]
    return None


def _name(param: Any) -> str:
    longest = max(param.opts, key=len)
    return str(longest if longest.startswith("-") else param.metavar or longest.upper())


def _plain(said: str) -> str:
    said = re.sub(r"^Value error, ", "", said.replace("Invalid value for ", "").replace("Value error, ", ""))
    return said.rstrip(".") if said.count(".") == 1 else said
