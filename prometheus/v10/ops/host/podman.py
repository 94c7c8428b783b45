"""Podman of the service's user: the one store that the units, the installer and an operator share.

Rootless Podman keeps a store for each user, so every call is made as ``prometheus-quant``, whose runtime directory
lingers. Images are named by digest wherever they are run; a tag is only what keeps one from being pruned. What is not
known is asked of Podman itself, never of its files. Standard library only.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Stage
from prometheus.v10.ops.host.runner import Account, Ended, Runner, hand_over, run_command

SERVICE_USER = "prometheus-quant"
REPOSITORY = "localhost/prometheus-quant"
TARGET_LABEL = "io.prometheus-quant.target"
DESK = "desk"
"""The target of the image that no unit runs: it serves an operator's reports, gates, exports and imports."""
COMMIT_LABEL = "org.opencontainers.image.revision"
CUSTODIAN_LABEL = "io.prometheus-quant.custodian"
CREATED_LABEL = "org.opencontainers.image.created"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PULL_SECONDS = 1800.0
RUN_SECONDS = 300.0
QUIET = ("--events-backend=none", "--log-level=error")
"""No line of Podman's own in the journal."""


@dataclass(frozen=True)
class Image:
    """One image of the store.

    Attributes:
        id: of its configuration: the same in every store.
        digests: every digest that it can be named by here.
        target: what it is for: a stage's value or `DESK`; None for an image that is not ours.
        custodian: whether it writes through a custodian.
    """

    id: str
    digests: tuple[str, ...]
    names: tuple[str, ...]
    target: str | None
    git_commit: str | None
    created: str | None
    size: int
    custodian: bool = False


class Podman:
    """Calls of one user's Podman."""

    def __init__(self, runner: Runner, account: Account | None, environ: dict[str, str]) -> None:
        self._runner = runner
        self._account = account
        self._environ = environ

    @classmethod
    def of_service(cls, runner: Runner = run_command) -> Podman:
        """The store of the service's user, for root and for that user itself.

        Raises:
            HostError: when there is no such user, or this is somebody else.
        """
        try:
            found = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            raise HostError(f"there is no user {SERVICE_USER}", hint="install the package: it makes the user") from None
        if os.geteuid() not in {0, found.pw_uid}:
            raise HostError(f"Podman is run as {SERVICE_USER}, which this user may not", hint="repeat it as root")
        account = Account(found.pw_uid, found.pw_gid, found.pw_dir) if os.geteuid() == 0 else None
        runtime = f"/run/user/{found.pw_uid}"
        environ = {
            "PATH": PATH,
            "HOME": found.pw_dir,
            "USER": SERVICE_USER,
            "XDG_RUNTIME_DIR": runtime,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
        }
        return cls(runner, account, environ)

    def call(self, *words: str, timeout: float = 60.0) -> Ended:
        """``podman WORDS``; how it ended is for the caller to judge."""
        return self._runner(("podman", *QUIET, *words), account=self._account, environ=self._environ, timeout=timeout)

    def _must(self, what: str, *words: str, timeout: float = 60.0) -> str:
        ended = self.call(*words, timeout=timeout)
        if not ended.ok:
            raise HostError(f"{what}: podman {words[0]} ended with {ended.code}: {_last(ended)}")
        return ended.out

    def image(self, reference: str) -> Image | None:
        """The image that a reference or an id names; None when the store has none.

        Raises:
            HostError: when Podman cannot be asked.
        """
        if self.call("image", "exists", reference).code == 1:
            return None
        return _image(json.loads(self._must(f"cannot look at {reference}", "image", "inspect", reference))[0])

    def named(self, references: Sequence[str]) -> dict[str, Image | None]:
        """The images that references name, each or None, by one call where all are there: a call takes 0.1 s.

        Raises:
            HostError: when Podman cannot be asked.
        """
        ended = self.call("image", "inspect", *references)
        if ended.ok:
            return dict(zip(references, map(_image, json.loads(ended.out)), strict=True))
        return {reference: self.image(reference) for reference in references}

    def images(self) -> list[Image]:
        """Every image of ours in the store, the newest first.

        Raises:
            HostError: when Podman cannot be asked.
        """
        said = self._must("cannot list images", "image", "ls", "-q", "--no-trunc", "--filter", f"label={TARGET_LABEL}")
        ids = list(dict.fromkeys(said.split()))
        if not ids:
            return []
        found = json.loads(self._must("cannot look at the images", "image", "inspect", *ids))
        return sorted((_image(one) for one in found), key=lambda image: image.created or "", reverse=True)

    def pull(self, source: str) -> str:
        """Fetch an image from ``source`` (a transport and a place); returns its id.

        Raises:
            HostError: when it cannot be fetched, with Podman's last words.
        """
        return self._must(f"cannot load {source}", "pull", "-q", source, timeout=PULL_SECONDS).split()[-1]

    def tag(self, image: str, name: str) -> None:
        """Give an image a name; errors as `pull`."""
        self._must(f"cannot tag {image}", "tag", image, name)

    def untag(self, name: str) -> None:
        """Take a name away, if it is there; the image stays."""
        self.call("untag", name, name)

    def run(self, reference: str, *words: str, volumes: tuple[str, ...] = (), network: str = "none") -> Ended:
        """Run ``python3 WORDS`` in an image, without privilege, and to its end."""
        return self.call(*_run(network, volumes), "--log-driver=none", *_python(reference, words), timeout=RUN_SECONDS)

    @property
    def account(self) -> Account | None:
        """Whose store it is, where the caller is somebody else; None for the service's user itself."""
        return self._account

    def attached(
        self, reference: str, *words: str, volumes: tuple[str, ...], environ: tuple[str, ...],
        workdir: str | None = None, tmpfs: tuple[str, ...] = (),
    ) -> int:  # fmt: skip
        """Run ``python3 WORDS`` likewise, its output and Ctrl-C being the caller's own; returns its code."""
        told = [f"--tmpfs={place}" for place in tmpfs]
        told += [f"--env={pair}" for pair in environ] + ([f"--workdir={workdir}"] if workdir is not None else [])
        inside = (*_run("none", volumes), "--log-driver=none", *told, *_python(reference, words))
        return hand_over(("podman", *QUIET, *inside), account=self._account, environ=self._environ)


def _run(network: str, volumes: tuple[str, ...]) -> tuple[str, ...]:
    """``podman run`` of a process without privilege, on a file tree that it cannot write to."""
    return (
        "run", "--rm", "-q", "--pull=never", f"--network={network}", "--cgroups=disabled",
        "--userns=keep-id:uid=1000,gid=1000", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges",
        "--tmpfs=/opt/prometheus-quant/numba:rw,size=64m", *(f"--volume={volume}" for volume in volumes),
    )  # fmt: skip


def _python(reference: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return "--entrypoint=python3", reference, *words


def _image(said: dict[str, Any]) -> Image:
    labels = said.get("Labels") or {}
    targets = {DESK: DESK, **{f"{stage.value}_sandbox": stage.value for stage in Stage}}
    named = [name.rpartition("@")[2] for name in said.get("RepoDigests") or []]
    digests = dict.fromkeys([*([said["Digest"]] if said.get("Digest") else []), *named])
    return Image(
        id=str(said["Id"]),
        digests=tuple(digests),
        names=tuple(said.get("RepoTags") or ()),
        target=targets.get(str(labels.get(TARGET_LABEL, ""))),
        git_commit=labels.get(COMMIT_LABEL) or None,
        created=labels.get(CREATED_LABEL) or None,
        size=int(said.get("Size") or 0),
        custodian=labels.get(CUSTODIAN_LABEL) == "1",
    )


def _last(ended: Ended) -> str:
    return (ended.err.strip() or ended.out.strip() or "no message").splitlines()[-1]
