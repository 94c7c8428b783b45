"""What an operator says about the witness: ``witness.toml``, and the command that takes checkpoints elsewhere.

``/etc/prometheus-quant/witness.toml`` may have, each on its own::

    command = ["/usr/local/sbin/take-checkpoint"]   # gets the checkpoint's path as its last argument
    journal_since = 2026-01-01T00:00:00Z            # when an older backup was restored, which the journal contradicts

Standard library and attrs.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from prometheus.v10.base.errors import ConfigError, HostError, host_error
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.isolation import PATH
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import SMALL, read_if_there
from prometheus.v10.base.text import printable
from prometheus.v10.base.toml import parse_toml
from prometheus.v10.evidence.witnesses.checkpoint_kept import find_checkpoints

FILE = "witness.toml"
HANDED_OVER = "handed_over"
COMMAND_SECONDS = 120.0


@frozen
class WitnessSettings:
    """What ``witness.toml`` says.

    Attributes:
        command: words of a command that gets each checkpoint's path as one more; empty when there is none.
        journal_since: the journal is believed from then on; in microseconds since 1970.
    """

    command: tuple[str, ...] = ()
    journal_since: int = 0


def read_settings(layout: Layout) -> WitnessSettings:
    """Read ``witness.toml``; what it does not say, and a file that is not there, leave the defaults.

    Raises:
        ConfigError: when it says something else.
        EvidenceError: when it is no regular file.
        HostError: when it cannot be read.
    """
    place = layout.etc / FILE
    data = read_if_there(place, at_most=SMALL)
    if data is None:
        return WitnessSettings()
    said = parse_toml(data, str(place))
    if unknown := sorted(said.keys() - {"command", "journal_since"}):
        raise ConfigError(
            f"{place}: {printable(unknown[0])!r} is no setting", hint="there are command and journal_since"
        )
    command, since = said.get("command", []), said.get("journal_since", datetime.fromtimestamp(0, UTC))
    if not isinstance(command, list) or not all(isinstance(word, str) and word for word in command):
        raise ConfigError(f"{place}: command is no list of words", hint='command = ["/usr/local/sbin/name", "word"]')
    if command and not command[0].startswith("/"):
        raise ConfigError(f"{place}: {printable(command[0])!r} is no absolute path", hint="name the program in full")
    if not isinstance(since, datetime) or since.tzinfo is None:
        raise ConfigError(f"{place}: journal_since is no time with a zone", hint="journal_since = 2026-01-01T00:00:00Z")
    return WitnessSettings(tuple(command), (since - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1))


def hand_over(directory: Path, settings: WitnessSettings) -> list[str]:
    """Give the operator's command each checkpoint that it has not taken yet; returns their names.

    Where it never took one, it gets the newest alone. One that it refuses is kept, and given again the next time.

    Raises:
        HostError: when the command cannot be started, does not end in two minutes, or ends with another code than 0.
    """
    if not settings.command:
        return []
    last = last_handed_over(directory, settings)
    files = find_checkpoints(directory)
    done: list[str] = []
    for file in [one for one in files if one.name > last] if last else files[-1:]:
        _give(settings.command, file)
        write_atomic(directory / HANDED_OVER, f"{file.name}\n".encode(), mode=0o644)
        done.append(file.name)
    return done


def last_handed_over(directory: Path, settings: WitnessSettings) -> str | None:
    """Name of the checkpoint that the operator's command took last, empty before the first; None without a command.

    Raises:
        HostError: when it cannot be read.
    """
    if not settings.command:
        return None
    return (read_if_there(directory / HANDED_OVER, at_most=SMALL) or b"").decode("ascii", "replace").strip()


def _give(command: tuple[str, ...], file: Path) -> None:
    what = f"{printable(command[0])} did not take {file.name}"
    kept = f"the checkpoint is kept as {file}, and handed over again with the next one"
    try:
        done = subprocess.run(
            [*command, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"{what}: it did not end in {COMMAND_SECONDS:g} s", hint=kept) from None
    except OSError as error:
        raise host_error(error, f"{what}: it cannot be started; {kept}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = f": {printable(said[-1])}" if said else ""
        raise HostError(f"{what}: it ended with {done.returncode}{reason}", hint=kept)
