#!/usr/bin/env python3
"""Write a man page for each command of an installed host, made from the command line itself.

    packaging/man_pages.py OUT VERSION DATE        one file a command: OUT/prometheus-quant-status.1, ...

It needs the Python of a checkout (make setup), for it imports every command, those too that a host hands to its image.
What a page says is what ``--help`` says. The same commands, version and date give the same bytes.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer.main

from prometheus.cli import host, in_image
from prometheus.cli import main as cli
from prometheus.cli.places import COMMAND, DEFAULT_ROOT

IN_IMAGE = "The host hands the command, as it is typed, to the image of the release in force, which must be there."
KINDS = {"int": "N", "int range": "N", "float": "X", "float range": "X", "str": "TEXT", "list[str]": "TEXT"}
"""What stands for a value where its option names none, by the type that typer prints."""
SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
WIDTH = 78


def roff(text: str) -> str:
    """Text as roff prints it, letter by letter, wherever in a line it stands but at its beginning."""
    return "".join(SPECIAL.get(one, one if one.isascii() else rf"\[u{ord(one):04X}]") for one in text)


def bold(text: str) -> str:
    """Words that are typed as they are."""
    return rf"\fB{roff(text)}\fR"


def placed(text: str) -> str:
    """Words that stand for something."""
    return rf"\fI{roff(text)}\fR"


def lines(text: str) -> Iterator[str]:
    """Running text on lines none of which roff takes for a request."""
    for line in textwrap.wrap(roff(text), WIDTH, break_long_words=False, break_on_hyphens=False):
        yield rf"\&{line}" if line.startswith(".") else line


def paragraphs(text: str) -> Iterator[str]:
    """Help of one or more paragraphs."""
    for number, part in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        yield from lines(part)


# ---- what stands in a page -------------------------------------------------------------------------------------------


def shown(command: Any) -> list[Any]:
    """Arguments and options of a command that its help shows; ``--help`` itself is in every one of them."""
    return [one for one in command.params if not getattr(one, "hidden", False)]


def is_option(param: Any) -> bool:
    """Whether a parameter is an option, not an argument."""
    return bool(param.opts[0].startswith("-"))


def argument(param: Any) -> str:
    """How an argument is written in a synopsis."""
    name = param.metavar or f"{param.name.upper()}{'...' if param.nargs == -1 else ''}"
    return name if param.required or name.startswith("[") else f"[{name}]"


def value(param: Any, context: Any) -> str:
    """What stands for the value of an option; empty for a flag."""
    if getattr(param, "is_flag", False):
        return ""
    said: str = param.metavar or param.get_help_record(context)[0].rpartition(" --")[2].partition(" ")[2].strip("<>")
    return KINDS.get(said, said)


def about(param: Any, context: Any) -> str:
    """Help of a parameter with its default and bounds, those of an installed command."""
    said = " ".join(param.get_help_record(context)[1].split())
    return said.replace(f"[default: {DEFAULT_ROOT}]", "[default: /]") if "--root" in param.opts else said


def synopsis(command: Any, words: str) -> str:
    """How a command is called."""
    arguments = [placed(argument(one)) for one in shown(command) if not is_option(one)]
    return " ".join([bold(words), f"[{placed('OPTIONS')}]", *arguments])


def parameters(command: Any, context: Any) -> Iterator[str]:
    """Arguments, then options, each with its help."""
    told = [one for one in shown(command) if not is_option(one)] + [one for one in shown(command) if is_option(one)]
    for one in told:
        yield ".TP"
        if is_option(one):
            names = ", ".join(map(bold, [*one.opts, *one.secondary_opts]))
            yield f"{names} {placed(value(one, context))}" if value(one, context) else names
        else:
            yield placed(argument(one).strip("[]") if one.metavar is None else one.metavar)
        yield from lines(about(one, context))


def examples(epilog: str | None) -> Iterator[str]:
    """Lines that ``--help`` ends with, as they are typed."""
    typed = [line.strip() for line in (epilog or "").splitlines() if line.strip() and line.strip() != "Examples:"]
    if typed:
        yield ".nf"
        yield from map(roff, typed)
        yield ".fi"


def leaves(command: Any, words: str, context: Any) -> Iterator[tuple[Any, str, Any]]:
    """A command, or what can be called below it, with the words that call it and its context."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield command, words, context
    for name, one in sorted(inner.items()):
        yield from leaves(one, f"{words} {name}", one.context_class(one, info_name=name, parent=context))


def page(name: str, command: Any, top: Any, version: str, date: str) -> str:
    """The page of one command of the host."""
    title, context = f"{COMMAND}-{name}", command.context_class(command, info_name=name, parent=top)
    below = list(leaves(command, f"{COMMAND} {name}", context))
    first = command.help.strip().split("\n")[0]
    made = [f'.TH {roff(title).upper()} 1 "{date}" "{COMMAND} {version}" "User Commands"', ".SH NAME"]
    made += [rf"{roff(title)} \- {roff(first.rstrip('.'))}", ".SH SYNOPSIS"]
    made += "\n.br\n".join(synopsis(one, words) for one, words, _ in below).split("\n")
    made += [".SH DESCRIPTION", *paragraphs(command.help)]
    if name in in_image.COMMANDS:
        made += [".PP", *lines(IN_IMAGE)]
    if [one for one, _, _ in below] == [command]:
        made += [".SH OPTIONS", *parameters(command, context)]
        if command.epilog:
            made += [".SH EXAMPLES", *examples(command.epilog)]
    else:
        made.append(".SH COMMANDS")
        for one, words, its in below:
            made += [f".SS {bold(words)}", *paragraphs(one.help), *parameters(one, its)]
            made += [".PP", *examples(one.epilog)] if one.epilog else []
    made += [".SH EXIT STATUS", "See", ".BR prometheus\\-quant (1).", ".SH SEE ALSO"]
    made += [".BR prometheus\\-quant (1),", ".BR prometheus\\-quant (7)", ""]
    return "\n".join(made)


def pages(version: str, date: str) -> dict[str, str]:
    """The page of every command of an installed host, by the name of its file."""
    every: Any = typer.main.get_command(cli.whole())
    of_host: Any = typer.main.get_command(host.host_line())
    top = every.context_class(every, info_name=COMMAND)
    return {
        f"{COMMAND}-{name}.1": page(name, every.commands[name], top, version, date)
        for name, command in sorted(of_host.commands.items())
        if not command.hidden
    }


def main() -> int:
    """Write the pages into the directory that is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="directory to write into; it is made")
    parser.add_argument("version", help="version of the package")
    parser.add_argument("date", help="date of the sources, YYYY-MM-DD")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, text in pages(asked.version, asked.date).items():
        (asked.out / name).write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
