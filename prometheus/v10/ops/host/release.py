"""Which images run, and the way back (contracts, section 15: rollback is one command).

1. A release is one image a stage, and one for the desk, by digest, of one commit. A tag decides nothing: an image gets
   a name made of its own digest, so that no other can take it and nothing prunes it.
2. `load` brings images into the store and proves that they are those of the archive. `use` and `rollback` put one in
   force: the record first, then ``release.env``, then a restart of exactly what ran, waited for until READY.
3. If READY does not come, the release before is put in force again, and what ran is started on it. The command ends
   with 74 and says so; an operator never has to undo half a step.
4. The release before stays on file beside the new one. Rolling back twice leads back to where one was.
5. Every step is a line of ``state/releases.jsonl`` and an entry of the journal.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import Factory, define, evolve, frozen

from prometheus.v10.base.errors import ConfigError, EvidenceError, HostError, PrometheusError, UsageError, host_error
from prometheus.v10.base.files import Lock
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.journal import Priority
from prometheus.v10.ops.host.host_records import RELEASES, HostRecords, as_owner_of
from prometheus.v10.ops.host.podman import DESK, REPOSITORY, Image, Podman
from prometheus.v10.ops.host.release_env import (
    Release,
    env_file,
    is_digest,
    is_reference,
    previous_file,
    read_release,
    write_release,
)
from prometheus.v10.ops.host.release_signature import (
    NAMED,
    NOT_AUTHENTICATED,
    SIGNED_BY,
    signatures_wanted,
    signer_of,
    signers_file,
)
from prometheus.v10.ops.host.systemd import Systemd

LOCK_FILE = "release.lock"
READY_SECONDS = 150.0
"""Longer than the units allow for a start."""
REF_NAME = "org.opencontainers.image.ref.name"
MAX_INDEX = 1024 * 1024
_ONE_EACH = "a release is one image for each stage and one for the desk, of one commit"
_CHUNK = 1024 * 1024


@frozen
class Known:
    """A release that was loaded here, as its record says.

    ``at`` is when; ``authenticity`` is how it was established who made it, or None in records of earlier versions.
    """

    release: Release
    at: str
    source: str
    authenticity: str | None


@define
class Releases:
    """The releases of one host.

    Attributes:
        podman: the store; None where there is none to ask (a tree that is not an installed host).
        systemd: what restarts the instances; None likewise.
        who: the person who asks.
    """

    layout: Layout
    records: HostRecords
    podman: Podman | None
    systemd: Systemd | None
    who: str
    ready_seconds: float = READY_SECONDS
    notes: list[str] = Factory(list)

    # ---- what there is -----------------------------------------------------------------------------------------------

    def known(self) -> list[Known]:
        """Every release that was ever loaded, the newest last, each once.

        Raises:
            EvidenceError: when the record is damaged.
        """
        found: dict[str, Known] = {}
        for line in self.records.read(RELEASES):
            if line.payload.get("step") == "loaded":
                said = line.payload["release"]
                images = {Stage(key): reference for key, reference in said["images"].items()}
                release = Release(images, said["git_commit"], said.get("custodian") is True, said.get("desk"))
                found[release.id] = Known(
                    release, line.ts_utc, str(line.payload["source"]), line.payload.get("authenticity")
                )
        return list(found.values())

    def authenticity(self, release: Release) -> str:
        """How it was established who made a release, by the record of its load."""
        try:
            said = [known.authenticity for known in self.known() if known.release.same_images(release)]
        except PrometheusError as error:  # a damaged record is told, and does not keep anybody from rolling back
            self.notes.append(f"it is not known who made release {release.id}: {error.message}")
            said = []
        return (said[-1] if said else None) or NOT_AUTHENTICATED

    def current(self) -> Release | None:
        """The release in force; errors as `read_release`."""
        return read_release(env_file(self.layout))

    def previous(self) -> Release | None:
        """The one before it; errors as `read_release`."""
        return read_release(previous_file(self.layout))

    def find(self, name: str) -> Release:
        """A loaded release by the beginning of its id, of a digest, or of its commit.

        Raises:
            UsageError: when none or more than one is meant.
        """
        hits = {known.release.id: known.release for known in self.known() if _is_meant(known.release, name)}
        if len(hits) != 1:
            there = ", ".join(hits or dict.fromkeys(known.release.id for known in self.known())) or "none"
            what = f"{len(hits)} loaded releases are" if hits else "no loaded release is"
            raise UsageError(f"{what} called {name!r}", hint=f"there are: {there}")
        return next(iter(hits.values()))

    # ---- load --------------------------------------------------------------------------------------------------------

    def load(self, sources: Sequence[str], *, sha256: str | None = None) -> Release:
        """Bring the images of an archive, or of references by digest, into the store; nothing is put in force.

        Where ``release_signers`` is there, only an archive with a signature of one of them is loaded. Otherwise the
        record says by what the release was authenticated, or that it was not.

        Raises:
            UsageError: for a reference without a digest, or where a stage has no image, or any two.
            EvidenceError: when what was loaded is not what the archive or the caller named, or not signed.
            HostError: when Podman refuses.
        """
        podman = self._store()
        images: list[tuple[str, Image]] = []
        source = " ".join(sources)
        authenticity = NOT_AUTHENTICATED if sha256 is None else NAMED
        signers = signers_file(self.layout) if signatures_wanted(self.layout) else None
        if len(sources) == 1 and not _is_remote(sources[0]):
            with _readable_copy(Path(sources[0]), sha256) as (copy, digest):
                if signers is not None:
                    signature = Path(f"{sources[0]}.sig")
                    authenticity = f"{SIGNED_BY}{signer_of(copy, signature, signers)}"
                source = f"{Path(sources[0]).name} sha256:{digest}"
                for name, wanted in _archived(copy).items():
                    images.append((wanted, self._pulled(podman, f"oci-archive:{copy}:{name}", wanted)))
                    podman.untag(name)
        else:
            authenticity = NAMED
            for reference in sources:
                if sha256 is not None or not _is_remote(reference):
                    raise UsageError(
                        f"{reference} is not the one archive, and names no image by its digest",
                        hint="give one OCI archive, or NAME@sha256:DIGEST for each image; a tag is never run",
                    )
                if signers is not None:
                    raise EvidenceError(
                        f"{reference} carries no signature, and {signers} demands one",
                        hint="load the signed archive: prometheus-quant release load FILE, with FILE.sig beside it",
                    )
                wanted = reference.rpartition("@")[2]
                pulled = self._pulled(podman, f"docker://{reference.removeprefix('docker://')}", wanted)
                images.append((wanted, pulled))
        release = self._as_release(podman, images)
        payload = {"step": "loaded", "release": release.plain(), "source": source, "who": self.who}
        payload["authenticity"] = authenticity
        reasons = {} if release.git_commit else {"release.git_commit": "the images do not name their commit"}
        self.records.enter(RELEASES, LedgerEntryType.RELEASE, payload, reasons)
        return release

    def _pulled(self, podman: Podman, source: str, wanted: str) -> Image:
        image = podman.image(podman.pull(source))
        if image is None or wanted not in image.digests:
            found = "nothing" if image is None else ", ".join(image.digests)
            raise EvidenceError(f"{source} should have given {wanted} and gave {found}", hint="fetch it again")
        return image

    def _as_release(self, podman: Podman, images: Sequence[tuple[str, Image]]) -> Release:
        found: dict[str, str] = {}
        for digest, image in images:
            if image.target is None or image.target in found:
                what = "none of ours" if image.target is None else f"a second image for {image.target}"
                raise UsageError(f"{digest} is {what}", hint=_ONE_EACH)
            podman.tag(image.id, f"{REPOSITORY}:{image.target}-{digest.removeprefix('sha256:')[:12]}")
            found[image.target] = f"{REPOSITORY}@{digest}"
        missing = [stage.value for stage in Stage if stage not in found]
        commits = {image.git_commit for _, image in images}
        if missing or len(commits) != 1:
            what = f"no image for {', '.join(missing)}" if missing else f"images of several commits: {commits}"
            raise UsageError(f"that is no release: {what}", hint=_ONE_EACH)
        custodian = all(image.custodian for _, image in images)
        return Release({stage: found[stage] for stage in Stage}, commits.pop(), custodian, found.get(DESK))

    # ---- put in force ------------------------------------------------------------------------------------------------

    def use(self, name: str) -> dict[str, Any]:
        """Put a loaded release in force; errors as `find` and `_switch`.

        Raises:
            EvidenceError: when this host wants signatures, and the release was loaded without one.
        """
        release = self.find(name)
        if signatures_wanted(self.layout) and not self.authenticity(release).startswith(SIGNED_BY):
            raise EvidenceError(
                f"release {release.id} was loaded without a signature, and {signers_file(self.layout)} demands one",
                hint="load its signed archive again: prometheus-quant release load FILE, with FILE.sig beside it",
            )
        return self._switch(release, LedgerEntryType.RELEASE)

    def rollback(self) -> dict[str, Any]:
        """Put the release before in force again; errors as `_switch`.

        Raises:
            UsageError: when there is none.
        """
        previous = self.previous()
        if previous is None:
            raise UsageError(
                f"there is no release to go back to: {previous_file(self.layout)} is not there",
                hint="prometheus-quant release list shows what is loaded; release use puts one in force",
            )
        return self._switch(previous, LedgerEntryType.ROLLBACK)

    def _switch(self, to: Release, kind: LedgerEntryType) -> dict[str, Any]:
        """Steps 2 to 4 of the head of this module.

        Raises:
            HostError: when an image is missing, or READY did not come; says on which release the host is then.
            LockHeldError: when somebody else is at it.
        """
        to = self._as_stored(to)
        with self._alone():
            before, older = self._readable(self.current), self._readable(self.previous)
            ran = self._running()
            begun = self.records.clock.monotonic()
            self._enter(kind, "begun", to, before, ran)
            self._put_in_force(to, before)
            complaint = self._restarted(ran)
            if complaint is not None:
                self._revert(kind, to, before, older, ran, complaint)
            seconds = round(self.records.clock.monotonic() - begun, 3)
            self._enter(kind, "in_force", to, before, ran, in_force=to.id, seconds=seconds)
            self._tell(kind, to, before)
        return {
            "in_force": to.plain(),
            "previous": None if before is None else before.plain(),
            "restarted": ran,
            "seconds": seconds,
            "problems": [*self.notes, *self.records.unheard],
        }

    def _put_in_force(self, to: Release, before: Release | None) -> None:
        if before is not None and not to.same_images(before):
            write_release(previous_file(self.layout), before)
        write_release(env_file(self.layout), to)

    def _restarted(self, units: Sequence[str]) -> str | None:
        """Restart what ran and wait for READY; what went wrong, or None."""
        if self.systemd is None or not units:
            return None
        self.systemd.forget_failures(units)  # a start limit that the release before reached is not this one's
        complaint = self.systemd.restart(units, seconds=self.ready_seconds)
        down = [unit for unit in units if self.systemd.show(unit, "ActiveState").get("ActiveState") != "active"]
        if complaint is None and down:
            return f"{', '.join(down)} not active after READY"
        return complaint

    def _revert(
        self,
        kind: LedgerEntryType,
        to: Release,
        before: Release | None,
        older: Release | None,
        ran: Sequence[str],
        complaint: str,
    ) -> None:
        """Back to where we were; always ends in an error.

        Raises:
            HostError: saying what did not work, and on which release the host is now.
        """
        hint = "journalctl -u 'prometheus-stage*' says why; the broken release stays loaded, and is not in force"
        if before is None:
            self._enter(kind, "failed", to, before, ran, why=complaint)
            raise HostError(f"release {to.id} is not READY, and there is none before it: {complaint}", hint=hint)
        write_release(env_file(self.layout), before)
        if older is None:
            previous_file(self.layout).unlink(missing_ok=True)
        else:
            write_release(previous_file(self.layout), older)
        again = self._restarted(ran)
        self._enter(kind, "reverted", before, to, ran, in_force=before.id, why=complaint)
        self._tell(LedgerEntryType.ROLLBACK, before, to)
        if again is not None:
            message = f"release {to.id} is not READY ({complaint}), and neither is {before.id}, to which was reverted"
            raise HostError(f"{message}: {again}", hint="journalctl -u 'prometheus-stage*' -e; prometheus-quant doctor")
        raise HostError(f"release {to.id} is not READY: {complaint}; {before.id} runs again", hint=hint)

    # ---- parts -------------------------------------------------------------------------------------------------------

    def _store(self) -> Podman:
        if self.podman is None:
            raise UsageError(
                "images are loaded on an installed host only", hint="run it on an installed host (--root /)"
            )
        return self.podman

    def _as_stored(self, release: Release) -> Release:
        """The release as its images say themselves whether they write through a custodian, whatever the record says."""
        if self.podman is None:
            return release
        desk = [] if release.desk is None else [release.desk]
        stored = self.podman.named([*release.images.values(), *desk])
        found = []
        for stage, reference in release.images.items():
            image = stored[reference]
            if image is None:
                raise HostError(
                    f"{reference} of {stage.value} is not in the store", hint="prometheus-quant release load FILE"
                )
            found.append(image.custodian)
        if release.desk is not None and stored[release.desk] is None:  # no unit runs it: said, not refused
            self.notes.append(f"{release.desk} of the desk is not in the store: release load brings it")
        return evolve(release, custodian=all(found))

    def _readable(self, read: Callable[[], Release | None]) -> Release | None:
        """A release that stands on file; one that cannot be read is no place to go back to, and no reason to stay."""
        try:
            return read()
        except ConfigError as error:
            self.notes.append(error.message)
            return None

    def _running(self) -> list[str]:
        return [] if self.systemd is None else [unit.name for unit in self.systemd.stages() if not unit.at_rest]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = Lock(self.layout.state / LOCK_FILE, who=f"a release by {self.who}")
        with as_owner_of(self.layout.state):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _enter(
        self,
        kind: LedgerEntryType,
        step: str,
        to: Release,
        before: Release | None,
        ran: Sequence[str],
        **more: Any,
    ) -> None:
        payload = {"step": step, "to": to.id, "from": None if before is None else before.id, "who": self.who,
                   "running": list(ran),
                   "authenticity": self.authenticity(to), **more}  # fmt: skip
        reasons = {"from": "no release was in force"} if before is None else {}
        try:
            self.records.enter(RELEASES, kind, payload, reasons)
        except PrometheusError as error:
            if step == "begun":
                raise
            self.notes.append(f"step {step} is not on record: {error.message}")  # the switch itself is done

    def _tell(self, kind: LedgerEntryType, to: Release, before: Release | None) -> None:
        image = to.images[Stage.STAGE1]
        if kind is LedgerEntryType.ROLLBACK:
            was = "none" if before is None else before.images[Stage.STAGE1]
            message = f"rolled back by {self.who} to release {to.id}; {self.authenticity(to)}"
            self.records.tell(Event.ROLLBACK, message, priority=Priority.WARNING, from_image=was, to_image=image)
        else:
            message = f"release {to.id} put in force by {self.who}; {self.authenticity(to)}"
            self.records.tell(Event.RELEASE, message, image=image, git_commit=to.git_commit)


def _is_meant(release: Release, name: str) -> bool:
    wanted = name.removeprefix("sha256:")
    digits = [digest.removeprefix("sha256:") for digest in release.digests()]
    return len(wanted) >= 4 and any(text.startswith(wanted) for text in [*digits, release.git_commit or ""])


def _is_remote(source: str) -> bool:
    return is_reference(source.removeprefix("docker://"))


@contextmanager
def _readable_copy(archive: Path, sha256: str | None) -> Iterator[tuple[Path, str]]:
    """A copy that the service's user can read, and its sha256: what was hashed is what is loaded."""
    try:
        with tempfile.TemporaryDirectory(prefix="prometheus-quant-release-", dir="/var/tmp") as folder:
            Path(folder).chmod(0o755)
            copy = Path(folder) / "image.oci.tar"
            with archive.open("rb") as reader, copy.open("wb") as writer:
                shutil.copyfileobj(reader, writer, _CHUNK)
            copy.chmod(0o644)
            with copy.open("rb") as reader:
                digest = hashlib.file_digest(reader, "sha256").hexdigest()
            if sha256 is not None and digest != sha256.removeprefix("sha256:"):
                raise EvidenceError(f"{archive} has the sha256 {digest}, not {sha256}", hint="fetch it again")
            yield copy, digest
    except OSError as error:
        raise host_error(error, f"cannot read {archive}") from error


def _archived(archive: Path) -> dict[str, str]:
    """The images of an OCI archive: digest by name.

    Raises:
        UsageError: when it is no archive of named images.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            member = tar.extractfile("index.json")
            index = json.loads(member.read(MAX_INDEX)) if member is not None else {}
        found = {str(one["annotations"][REF_NAME]): str(one["digest"]) for one in index["manifests"]}
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"that is no OCI archive of named images: {error}", hint="make image writes one") from error
    if not found or not all(is_digest(digest) for digest in found.values()):
        raise UsageError("the archive names no image by a sha256 digest", hint="make image writes one that does")
    return found
