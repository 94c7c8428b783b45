"""Commands of the host, started in one place: so that a test can stand in for systemd and Podman, and nothing else.

A command is a list of words, never a shell's line. What it prints is kept, how it ended is for the caller to judge; a
command that is not installed ends with 127, as in a shell, and one that takes too long with 124. Standard library only.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

NOT_FOUND = 127
TIMED_OUT = 124
LOCALE = {"LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0

    def complaint(self) -> str:
        """The command, its code and its last words, in one line."""
        said = (self.err.strip() or self.out.strip() or "no message").splitlines()[-1]
        return f"{' '.join(self.words[:3])} ended with {self.code}: {said}"


@dataclass(frozen=True)
class Account:
    """Who a command runs as: the service's user, seen from root."""

    uid: int
    gid: int
    home: str


class Runner(Protocol):
    """Runs a command to its end."""

    def __call__(
        self,
        words: Sequence[str],
        *,
        account: Account | None = None,
        environ: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Ended:
        """Run ``words``, as ``account`` when one is given, with ``environ`` alone when that is given."""
        ...


def run_command(
    words: Sequence[str],
    *,
    account: Account | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Ended:
    """The `Runner` of a real host."""
    who, told = _as_account(account), None if environ is None else {**LOCALE, **environ}
    try:
        done = subprocess.run(
            list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=timeout, cwd="/", env=told, **who,
        )  # fmt: skip
    except FileNotFoundError:
        return Ended(tuple(words), NOT_FOUND, "", f"{words[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Ended(tuple(words), TIMED_OUT, "", f"no end after {timeout:g} s")
    except PermissionError as error:
        return Ended(tuple(words), 126, "", f"{words[0]}: {error.strerror}")
    return Ended(tuple(words), done.returncode, done.stdout, done.stderr)


def hand_over(words: Sequence[str], *, account: Account | None, environ: Mapping[str, str]) -> int:
    """Run a command that speaks to the operator itself, for as long as it takes; returns its code.

    Ctrl-C reaches it as well as us, and it is the one to say what is done about that.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN: that it would inherit
    try:
        started = subprocess.Popen(
            list(words), stdin=subprocess.DEVNULL, cwd="/", env={**LOCALE, **environ}, **_as_account(account)
        )
        return int(started.wait())
    except FileNotFoundError:
        return NOT_FOUND
    finally:
        signal.signal(signal.SIGINT, before)


def _as_account(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
