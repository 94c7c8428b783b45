"""Who made a release: its archive's SSH signature against the signers that an administrator allows.

An image's labels are written by whoever built it, and prove nothing about who that was. ``release_signers`` in the
configuration directory is an ``allowed_signers`` file (ssh-keygen(1)); where it is there, only archives that one of
its keys signed are loaded.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from prometheus.v10.base.errors import EvidenceError, HostError, host_error
from prometheus.v10.base.paths import Layout

SIGNERS = "release_signers"
NAMESPACE = "prometheus-quant-release"
NOT_AUTHENTICATED = "not authenticated"
SIGNED_BY = "signed by "
NAMED = "digest named by the operator"
_MOST = 64 * 1024
_HINT = "fetch FILE and FILE.sig from who builds your releases; ssh-keygen -Y sign makes FILE.sig"


def signers_file(layout: Layout) -> Path:
    """Where the signers stand who may make releases for this host."""
    return layout.etc / SIGNERS


def signatures_wanted(layout: Layout) -> bool:
    """Whether only signed releases are loaded here; a dangling link in the file's place wants them too."""
    return os.path.lexists(signers_file(layout))


def signer_of(archive: Path, signature: Path, signers: Path) -> str:
    """The principal whose key signed ``archive``, as ``signers`` names it.

    Args:
        archive: the bytes that are going to be loaded.
        signers: an ``allowed_signers`` file (ssh-keygen(1)).
        signature: what ``ssh-keygen -Y sign -n prometheus-quant-release`` wrote.

    Raises:
        EvidenceError: when there is no signature, or it is not of these bytes by an allowed key.
        HostError: when ssh-keygen or the signers cannot be used.
    """
    try:
        signers.read_bytes()
        if signature.is_file() and signature.stat().st_size > _MOST:
            raise EvidenceError(f"{signature} is too large for a signature", hint=_HINT)
    except OSError as error:
        raise host_error(error, f"cannot read {signers}") from error
    if not signature.is_file():
        raise EvidenceError(f"{signature} is not there, and {signers} demands a signature", hint=_HINT)
    options = ["-n", NAMESPACE, "-f", str(signers), "-s", str(signature)]
    code, said = _ssh_keygen(["-Y", "find-principals", *options[2:]], None)
    # A key may stand for several principals, and a principal for certain namespaces and dates only: each is asked.
    for name in said.splitlines() if code == 0 else []:
        if name and not name.startswith("-") and _ssh_keygen(["-Y", "verify", *options, "-I", name], archive)[0] == 0:
            return name
    raise EvidenceError(f"{signature} is no signature of {archive.name} by a key of {signers}", hint=_HINT)


def _ssh_keygen(arguments: list[str], data: Path | None) -> tuple[int, str]:
    try:
        with (data or Path(os.devnull)).open("rb") as stdin:
            done = subprocess.run(["ssh-keygen", *arguments], stdin=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise HostError("ssh-keygen is not installed", hint="apt-get install openssh-client") from error
    except OSError as error:
        raise host_error(error, "cannot check a signature") from error
    return done.returncode, done.stdout.decode("utf-8", "replace")
