"""The command of an installed host: what an operator does there, with the host's own Python and without numpy.

Everything that evolves or deletes runs in the image instead, from units; what else needs numpy is handed to an image
as it is typed (`in_image`). `prometheus.cli` has all of it. Both command lines are made of the same commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import typer

from prometheus.cli import in_image
from prometheus.cli.app import run_app
from prometheus.cli.commands import COMMANDS, Command, command_line
from prometheus.cli.completing import answer, asked
from prometheus.v10.base.errors import UsageError

ABOUT = "Watch, stop, release and check evolution on this host; systemctl start prometheus-stage1@HF starts it."
ON_HOST = ("status", "doctor", "stop", "clear-stop", "custodian", "verify", "audit", "release", "ledger",
           "progress", "kpi", "runs", "index", "site", "watch", "phylogeny",
           "metrics", "notify")  # fmt: skip
ELSEWHERE = {
    "run": ("a run in the foreground is a checkout's: on a host instances do runs, and systemd starts them",
            "systemctl start prometheus-stage1@HF; prometheus-quant runs list shows what they did"),
    "demo": ("demo needs the exchange of our own, which neither the package nor an image has", "run it in a checkout"),
    "venue": ("the exchange of our own is for tests, in a checkout; neither the package nor an image has it",
              "run it in a checkout"),
}  # fmt: skip
"""Commands of a checkout that a host has not: why, and what to do."""
_BY_NAME = {one.name: one for one in COMMANDS}
DOWNLOADS = Command("market", _BY_NAME["market"].about, "operate.download_command")
"""What of `market` needs a network, and no numpy: the image has neither that nor a place of its own for it."""


def host_line(arguments: Sequence[str] | None = None) -> typer.Typer:
    """The host's command line; with ``arguments`` only what they name is imported."""
    downloads, drawn = downloads_asked(arguments or ()), picture_asked(arguments or ())
    here = [*(_BY_NAME[name] for name in ON_HOST if name != drawn), *([DOWNLOADS] if downloads else [])]
    app = command_line(ABOUT, here, arguments)
    handed = [name for name in in_image.COMMANDS if not downloads or name != DOWNLOADS.name]
    for name in [*handed, *([drawn] if drawn is not None else [])]:
        app.command(name, context_settings=in_image.AS_TYPED, add_help_option=False)(in_image.in_image(name))
    for name in ELSEWHERE:
        app.command(name, hidden=True, context_settings=in_image.AS_TYPED, add_help_option=False)(_elsewhere(name))
    return app


def _elsewhere(name: str) -> Callable[[], None]:
    """A command that a host has not, and says so."""

    def command() -> None:
        raise UsageError(ELSEWHERE[name][0], hint=ELSEWHERE[name][1])

    command.__doc__ = f"Say why a host has no {name}, and what to do."
    return command


def picture_asked(arguments: Sequence[str]) -> str | None:
    """The command that the host has itself, and that is to draw, for which the host's Python has nothing."""
    named = next((word for word in arguments if not word.startswith("-")), None)
    asked_for = any(word == "--plot" or word.startswith("--plot=") for word in arguments)
    return named if named in in_image.DRAWN and asked_for else None


def downloads_asked(arguments: Sequence[str]) -> bool:
    """Whether ``market download`` is typed, which the host does itself."""
    return [word for word in arguments if not word.startswith("-")][:2] == ["market", "download"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code (contracts, section 6)."""
    if arguments is None and asked(os.environ):
        return answer(os.environ, [*ON_HOST, *in_image.COMMANDS])
    words = sys.argv[1:] if arguments is None else list(arguments)
    return run_app(host_line(words), words)


if __name__ == "__main__":
    sys.exit(main())
