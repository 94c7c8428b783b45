"""Liveness: what the service manager hears from us (contracts, section 7).

The rules, in the order in which they bite:

1. One assignment a datagram. The proxy between a container and systemd (conmon before 2.1.9) keeps only the first
   one it knows and drops the rest.
2. READY=1 once: when the run directory and its manifest exist, or when only a long check of the pool stands before.
3. WATCHDOG=1 only when the work itself moved since the last ping, at a third of WATCHDOG_USEC. There is no timer
   thread: whoever does the work calls `Liveness.beat` with a counter that only grows when something was done.
4. At every ping ``faulthandler`` is armed anew for 0.8 of the watchdog time, so that a hang leaves its own stack on
   standard error before systemd acts; this needs no signal to arrive.
5. STATUS= is one ASCII sentence. "=" never stands in it: old proxies search the whole text for "READY=1".
6. STOPPING=1 once; EXTEND_TIMEOUT_USEC while sealing, up to a cap. Before READY=1 it is asked for as often as evidence
   that is being checked moves on, which ends with the evidence. This serves a service that runs under systemd without a
   container. The units' payload is not heard: conmon drops the request, and the unit's own time-outs hold (ADR 0052).
7. Without a socket everything is silent, and counted. A datagram that cannot be sent is counted too, with its reason:
   evidence must not fail because the manager is deaf.

Built on ``sdnotify`` with ``debug=True``: without it every error is swallowed. Its latin-1 encoding is harmless
here because only ASCII reaches it, and it reads ``NOTIFY_SOCKET`` from the process's environment alone, so the address
is put there for its constructor.
"""

from __future__ import annotations

import faulthandler
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sdnotify

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import ConfigError
from prometheus.v10.ops.instance.progress_record import ProgressRecord

STATUS_SECONDS = 1.0  # a reader of systemctl status needs no more, and the manager's queue stays empty
EXTEND_SECONDS = 20.0  # asked for at each step of sealing, and of checking before a start
EXTEND_CAP_SECONDS = 120.0  # all extensions of one stop together
SEND_TIMEOUT_SECONDS = 0.2  # a manager that does not read must not hold up a stop
STACK_FRACTION = 0.8
PING_FRACTION = 1 / 3


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """The watchdog time in seconds, or None where the unit sets none.

    WATCHDOG_PID is not looked at: the process has another id inside its container.

    Raises:
        ConfigError: when WATCHDOG_USEC is no positive number; going on would mean being killed later without a word.
    """
    text = environ.get("WATCHDOG_USEC", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ConfigError(
            f"WATCHDOG_USEC={text!r} in the environment is not a positive number of microseconds",
            hint="systemd sets it from WatchdogSec=; unset it when starting by hand",
        )
    return int(text) / 1e6


def ascii_sentence(text: str) -> str:
    """``text`` as one ASCII line without ``=`` (rule 5)."""
    return " ".join(text.replace("=", ":").encode("ascii", "replace").decode("ascii").split())


def status_sentence(record: ProgressRecord) -> str:
    """What ``systemctl status`` shows while a run works."""
    return ascii_sentence(
        f"{record.run_id}: experiment {record.experiment} of {record.experiments}, "
        f"tick {record.tick} of {record.ticks}, {record.alive} alive, {record.agent_ticks_per_second:,} agent-ticks/s, "
        f"{record.births} births, {record.deaths} deaths, last collapse: {record.last_collapse}"
    )


@contextmanager
def _address_in_environment(address: str) -> Iterator[None]:
    before = os.environ.get("NOTIFY_SOCKET")
    os.environ["NOTIFY_SOCKET"] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ["NOTIFY_SOCKET"]
        else:
            os.environ["NOTIFY_SOCKET"] = before


class Liveness:
    """Speaks sd_notify for one service process.

    Attributes:
        sent: datagrams delivered, by name of their assignment.
        unsent: datagrams that had no socket to go to.
        failed: datagrams that a socket refused.
        last_error: why the last of those was refused.
    """

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        """Connect to the socket that ``environ`` names, if any.

        Raises:
            ConfigError: when WATCHDOG_USEC cannot be read.
        """
        self.watchdog_seconds = watchdog_seconds(environ)
        self.sent: Counter[str] = Counter()
        self.unsent = 0
        self.failed = 0
        self.last_error: str | None = None
        self._clock = clock
        self._ready = False
        self._stopping_at: float | None = None
        self._status: str | None = None
        self._status_at = -STATUS_SECONDS
        self._pinged_work: tuple[str, int] | None = None
        self._pinged_at: float | None = None
        self._extended_until = 0.0
        self._starting_at = -EXTEND_SECONDS
        address = environ.get("NOTIFY_SOCKET")
        self._notifier = self._connect(address) if address else None

    def _connect(self, address: str) -> sdnotify.SystemdNotifier | None:
        try:
            with _address_in_environment(address), warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # sdnotify drops its socket when connecting fails
                notifier = sdnotify.SystemdNotifier(debug=True)
        except OSError as error:
            self.last_error = f"cannot connect to {address}: {error.strerror or error}"
            return None
        notifier.socket.settimeout(SEND_TIMEOUT_SECONDS)
        return notifier

    @property
    def connected(self) -> bool:
        """Whether a manager listens."""
        return self._notifier is not None

    def _send(self, name: str, value: str) -> None:
        if self._notifier is None:
            self.unsent += 1
            return
        try:
            self._notifier.notify(f"{name}={value}")
        except OSError as error:
            self.failed += 1
            self.last_error = f"{name} not delivered: {error.strerror or error}"
        else:
            self.sent[name] += 1

    def ready(self) -> None:
        """READY=1, once; the watchdog counts from here."""
        if self._ready:
            return
        self._ready = True
        self._send("READY", "1")
        self._ping(("ready", 0))

    def status(self, text: str, *, now: bool = False) -> None:
        """STATUS= when the sentence changed, at most once a second unless ``now``."""
        sentence = ascii_sentence(text)
        moment = self._clock.monotonic()
        if sentence == self._status or (not now and moment - self._status_at < STATUS_SECONDS):
            return
        self._status, self._status_at = sentence, moment
        self._send("STATUS", sentence)

    def beat(self, work: str, counter: int) -> None:
        """Ping when a third of the watchdog time is over *and* the work moved since the last ping.

        Args:
            work: what is being done (a run_id, "idle", "sealing").
            counter: how much of it is done; must change only when something was done.
        """
        if not self._ready or self.watchdog_seconds is None or self._stopping_at is not None:
            return
        if (work, counter) == self._pinged_work:
            return
        if self._pinged_at is None or self._clock.monotonic() - self._pinged_at >= (
            self.watchdog_seconds * PING_FRACTION
        ):
            self._ping((work, counter))

    def _ping(self, work: tuple[str, int]) -> None:
        if self.watchdog_seconds is None:
            return
        self._pinged_work, self._pinged_at = work, self._clock.monotonic()
        self._send("WATCHDOG", "1")
        # 2: the descriptor itself, whatever sys.stderr has become
        faulthandler.dump_traceback_later(self.watchdog_seconds * STACK_FRACTION, exit=False, file=2)

    def starting(self) -> None:
        """A step before READY=1 was done: ask for more time, at a quarter of what each asks for (rule 6)."""
        moment = self._clock.monotonic()
        if self._ready or self._stopping_at is not None or moment - self._starting_at < EXTEND_SECONDS / 4:
            return
        self._starting_at = moment
        self._send("EXTEND_TIMEOUT_USEC", str(int(EXTEND_SECONDS * 1e6)))

    def stopping(self) -> None:
        """STOPPING=1, once. The manager's watchdog ends here, and so does ours."""
        if self._stopping_at is not None:
            return
        self._stopping_at = self._clock.monotonic()
        self._send("STOPPING", "1")
        faulthandler.cancel_dump_traceback_later()

    def sealing(self) -> None:
        """A step of sealing was done: while stopping, ask for more time, up to the cap (rule 6)."""
        if self._stopping_at is None:
            return
        elapsed = self._clock.monotonic() - self._stopping_at
        wanted = min(elapsed + EXTEND_SECONDS, EXTEND_CAP_SECONDS)
        if wanted <= max(self._extended_until, elapsed):
            return
        self._extended_until = wanted
        self._send("EXTEND_TIMEOUT_USEC", str(int((wanted - elapsed) * 1e6)))

    def close(self) -> None:
        """Disarm the stack dump and close the socket. Safe to call twice."""
        faulthandler.cancel_dump_traceback_later()
        if self._notifier is not None:
            self._notifier.socket.close()
            self._notifier = None
