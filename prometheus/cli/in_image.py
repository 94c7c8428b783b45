"""Commands that need numpy: an installed host hands them, as they are typed, to an image of the release in force.

1. The image sees what the units' containers see, under the same names (`mounts`). It has no network and no other file
   of the host; a file to be read lies below the evidence first.
2. The command is told how wide the caller's terminal is, and whether there is one: its tables fit, and it shows colour
   and progress. No terminal is made in the container: output and errors stay apart, and Ctrl-C is the command's own.
3. A file that the command is to write is made in a directory of its own, and put where the caller named it, as him.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import typer

from prometheus.cli.mounts import seen_by
from prometheus.v10.base.errors import ConfigError, HostError, UsageError, host_error
from prometheus.v10.base.outputs import new_output, refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release_env import env_file, read_release

COMMANDS = {
    "market": "Import bars, and list what there is: market import FILE NAME; market download runs on the host.",
    "profile": "Check whether a run would begin with a profile: profile check NAME.",
    "snapshot": "Freeze a pool; list and compare what was frozen.",
    "pool": "List, sort and filter the records of a pool.",
    "genome": "Show one genome.",
    "promote": "Replay experiments as Tier-2 runs with full evidence; --queue leaves them to @PROMOTE.",
    "incident": "Pack the evidence of a run for an investigation: incident RUN --label NAME.",
    "fences": "List everything that can block or change an order.",
    "core": "Compare the hashes of the world's code: core check.",
    "replay": "Do a run again and compare every byte.",
    "report": "Report what happened in a run, on one page.",
    "execution": "Say whether trading of an instance is halted; release it by name and with a reason.",
    "retention": "Show what the profile's rules would delete: retention --dry-run.",
    "gate": "Test whether evolution used the order of returns: gate --config NAME.",
    "founding": "Trials of ways of founding: on markets of planted truth, and side by side.",
}
DRAWN = {
    "progress": "Show whether evolution gains anything from era to era.",
    "kpi": "Show how long populations live before they collapse.",
}
"""Commands that a host has itself, and hands over where a picture is asked for."""
FILES = frozenset({".csv", ".feather", ".gz", ".json", ".npy", ".parquet", ".toml", ".zip", ".zst"})
WRITTEN = frozenset({"--svg", "--plot", "--html", "--out"})
"""Options that name a new file."""
TAKING = frozenset({"--pool", "--root", "--stage"})
"""Options of ``pool export`` with a value; its new file is no option."""
NOT_RUN = 125
"""Podman's code where it could not run the image."""
OUT = "/out"
"""The working directory in the image, where new files are made."""
BLOCK = 1 << 20
AS_TYPED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


class Screen(Protocol):
    """What output may go to."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        ...

    def fileno(self) -> int:
        """Its descriptor."""
        ...


def in_image(name: str) -> Callable[[typer.Context], int]:
    """The host's command ``name``: the image's, with the words that were typed."""

    def command(context: typer.Context) -> int:
        layout = Layout.system()
        refuse_unseen_files(layout, context.args)
        return run_in_image(
            layout, Podman.of_service(), [name, *context.args], terminal=terminal(os.environ, sys.stdout, sys.stderr)
        )

    command.__doc__ = f"{(COMMANDS | DRAWN)[name]} (Runs in the image.)"
    return command


def refuse_unseen_files(layout: Layout, words: list[str]) -> None:
    """Refuse words that name a file of this host which the image cannot see under that name.

    Raises:
        ConfigError: naming the file, and where to put it.
    """
    seen = (layout.lib, layout.log, layout.etc, layout.downloads)
    for word in words:
        text = word.partition("=")[2] if word.startswith("--") else word
        place = Path(text)
        if not text or not ("/" in text or place.suffix.lower() in FILES) or not os.path.isfile(place):  # noqa: PTH113
            continue
        if place.is_absolute() and any(Path(os.path.realpath(place)).is_relative_to(top) for top in seen):
            continue
        shown = printable(text)
        raise ConfigError(
            f"{shown}: the command runs in the image, which sees only files below {', '.join(map(str, seen))}, "
            "by their whole path",
            hint=f"copy it there first: cp {shown} {layout.lib}/ and name {layout.lib}/{printable(place.name)}",
        )


def run_in_image(layout: Layout, podman: Podman, words: list[str], terminal: Sequence[str] = ()) -> int:
    """Run a command line in the image that serves it; returns its exit code.

    Args:
        layout: of this host.
        podman: of the service's user.
        words: as they were typed.
        terminal: what the command is told of the caller's terminal (`terminal`).

    Raises:
        ConfigError: when no release is in force.
        UsageError: when a file that it is to write exists, or would lie among the evidence.
        HostError: when this user may not run Podman as the service's user, the image is not there, or a file cannot be
            written.
    """
    release = read_release(env_file(layout))
    if release is None:
        raise ConfigError(
            f"no release is in force, and {words[0]} runs in its image",
            hint="prometheus-quant release load FILE; prometheus-quant release use ID",
        )
    inside, places = outputs(words)
    for place in places.values():
        refuse_output(place, layout=layout)
    seen = seen_by(words, layout, release)
    if seen.lacking is not None:
        sys.stderr.write(f"{seen.lacking}\n")
    with _room(podman) if places else nullcontext() as room:
        code = podman.attached(
            seen.image, "-I", "-m", "prometheus.cli", *inside,
            volumes=(*seen.volumes, *([f"{room}:{OUT}"] if room is not None else [])),
            environ=(f"PQ_IMAGE={seen.image}", f"PQ_IMAGE_DIGEST={seen.digest}", *terminal),
            workdir=OUT if room is not None else None, tmpfs=seen.tmpfs,
        )  # fmt: skip
        if room is not None:
            _fetch(room, places, layout)
    if code == NOT_RUN and podman.image(seen.image) is None:
        raise HostError(
            f"{seen.image}, in which {words[0]} runs, is not in the store", hint="prometheus-quant release load FILE"
        )
    return code


# ---- the caller's terminal -------------------------------------------------------------------------------------------


def terminal(environ: Mapping[str, str], out: Screen, err: Screen) -> list[str]:
    """What a command in the image is told of the terminal that it writes to, as variables of its environment.

    It has none of its own. Where output and errors both go to one, it writes as to one: in colour, with progress.
    """
    told = {name: environ[name] for name in ("TERM", "NO_COLOR", "COLUMNS", "LINES") if environ.get(name)}
    if out.isatty():
        size = os.get_terminal_size(out.fileno())
        told |= {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
    if out.isatty() and err.isatty():
        told["FORCE_COLOR"] = "1"  # of rich: that there is a terminal; NO_COLOR and a dumb one still have their say
    return [f"{name}={value}" for name, value in told.items()]


# ---- files that it writes --------------------------------------------------------------------------------------------


def outputs(words: Sequence[str]) -> tuple[list[str], dict[str, Path]]:
    """The words as the image is given them, and where each new file that they name belongs.

    A new file is made under its own name in the image's working directory. With ``--check`` nothing is written.
    """
    inside, places = list(words), dict[str, Path]()
    if "--check" in words:
        return inside, places
    for at, word in enumerate(words):
        option, sign, value = word.partition("=")
        if option in WRITTEN and sign:
            inside[at], text = f"{option}={Path(value).name}", value
        elif _is_option(words, at) or _is_export(words, at):
            inside[at], text = Path(word).name, word
        else:
            continue
        if not Path(text).name:
            raise UsageError(f"{printable(text)!r} names no file", hint="give the file a name")
        if Path(text).name in places:
            raise UsageError(f"two files are called {printable(Path(text).name)}", hint="give them different names")
        places[Path(text).name] = Path(os.path.abspath(text))  # noqa: PTH100  (a link is looked at by the guard)
    return inside, places


def _is_option(words: Sequence[str], at: int) -> bool:
    return at > 0 and words[at - 1] in WRITTEN and not words[at].startswith("-")


def _is_export(words: Sequence[str], at: int) -> bool:
    export = list(words[:2]) == ["pool", "export"] and at > 1
    return export and not words[at].startswith("-") and words[at - 1] not in TAKING


@contextmanager
def _room(podman: Podman) -> Iterator[Path | None]:
    """A directory that the image writes into, which its user can neither move nor replace by a link."""
    with tempfile.TemporaryDirectory(prefix="prometheus-quant-", dir="/var/tmp") as top:
        os.chmod(top, 0o711)  # noqa: PTH101, S103  (others may pass through it, and not list it)
        room = Path(top) / "out"
        room.mkdir(mode=0o700)
        if podman.account is not None:
            os.chown(room, podman.account.uid, podman.account.gid)
        yield room


def _blocks(fd: int) -> Iterator[bytes]:
    while block := os.read(fd, BLOCK):
        yield block


def _fetch(room: Path, places: Mapping[str, Path], layout: Layout) -> None:
    """Put what the image made where the caller wants it; what it did not make is not there, and it said why."""
    for name, place in places.items():
        try:
            fd = os.open(room / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise host_error(error, f"cannot take what the image made for {place}") from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise HostError(f"what the image made for {place} is no file", hint="prometheus-quant doctor")
            new_output(place, _blocks(fd), layout=layout)
        finally:
            os.close(fd)
        sys.stderr.write(f"written: {printable(str(place))}\n")
