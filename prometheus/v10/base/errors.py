"""Errors by who is at fault, each with an exit code and a hint (contracts, section 6).

Only ``prometheus.cli`` and the service entry turn an error into a message and a code; everything below raises.
The message says *what* and *where*; the hint says *what to do*.
"""

from __future__ import annotations

import errno
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (sysexits numbers). Units restart on 69, 70, 74, 75; never on 64, 65, 78."""

    DONE = 0
    VERIFY_FAILED = 1
    VERIFY_ERROR = 2
    USAGE = 64
    EVIDENCE_DAMAGED = 65
    EXCHANGE_UNAVAILABLE = 69
    BUG = 70
    IO = 74
    TRY_AGAIN = 75
    CONFIG = 78


class PrometheusError(Exception):
    """Base of all errors that a user can act on.

    Args:
        message: one line: what is wrong and where.
        hint: one line: what to do about it.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PrometheusError):
    """The command line is at fault: an unknown mode, a missing argument, a path that cannot be meant."""

    exit_code = ExitCode.USAGE


class ConfigError(PrometheusError):
    """A profile, a window or a market file is at fault; starting again would not help."""

    exit_code = ExitCode.CONFIG


class CoreInvarianceError(ConfigError):
    """The core on disk or in memory is not the core that CORE.lock names."""


class EvidenceError(PrometheusError):
    """Evidence is damaged: a broken chain, a hash that differs, bytes that cannot be read as a record."""

    exit_code = ExitCode.EVIDENCE_DAMAGED


class ExchangeError(PrometheusError):
    """The exchange is unreachable or answers what cannot be true."""

    exit_code = ExitCode.EXCHANGE_UNAVAILABLE


class HostError(PrometheusError):
    """The machine is at fault: a full disk, an I/O error, a directory that cannot be written."""

    exit_code = ExitCode.IO


class LockHeldError(PrometheusError):
    """Another process holds the lock; trying again later may work."""

    exit_code = ExitCode.TRY_AGAIN


def host_error(error: OSError, what: str) -> HostError:
    """Turn an ``OSError`` met while doing ``what`` into a `HostError` whose hint fits its errno."""
    hints = {
        errno.ENOSPC: "free disk space or lower the budget in the profile",
        errno.EDQUOT: "raise the disk quota of this user",
        errno.EROFS: "the file system is read-only: remount it read-write or choose another --root",
        errno.EACCES: "give this user write permission there or choose another --root",
        errno.EPERM: "give this user write permission there or choose another --root",
        errno.EIO: "the disk reports an I/O error: check the kernel log before anything else",
    }
    where = f" ({error.filename})" if error.filename else ""
    return HostError(f"{what}: {error.strerror or error}{where}", hint=hints.get(error.errno or 0))
