"""The test host as fixtures: built once, booted in seconds, torn down; skipped, and why, where it cannot run.

``PQ_HOST_REPEATS`` says how often a drill is repeated: 2, or what ``make host-test`` sets (20). Tests that are marked
``full`` run only there. ``PROMETHEUS_IMAGE`` names a directory of built images, ``PROMETHEUS_DEB`` a package; without
them both are built for the files as they are, and kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE))  # the lab is a package of these tests alone

from lab.host import Host  # noqa: E402
from lab.rootfs import SUITE, cache_dir, tarball  # noqa: E402

COMMAND = "prometheus-quant"
FULL = 20
REPEATS = int(os.environ.get("PQ_HOST_REPEATS", "2"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"full: takes its time; runs with PQ_HOST_REPEATS of {FULL} or more")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REPEATS < FULL:
        leave = pytest.mark.skip(reason=f"takes its time: make host-test runs it (PQ_HOST_REPEATS={FULL})")
        for item in items:
            if item.get_closest_marker("full") is not None:
                item.add_marker(leave)


@functools.cache
def why_not() -> str | None:
    """What keeps the test host from running here, or None."""
    if os.geteuid() != 0:
        return "the test host needs root"
    for tool in ("systemd-nspawn", "mmdebstrap", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed: tests/host/prerequisites.sh installs it"
    if reason := _why_no_container():
        return reason
    try:
        tarball(SUITE)
    except subprocess.CalledProcessError as error:
        return f"no tree of Debian could be made (mmdebstrap ended {error.returncode}): is a mirror in reach?"
    return None


def _why_no_container() -> str | None:
    """What of a container's needs the kernel does not give us, or None."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    options = [words for _, _, kind, words, *_ in mounts if kind == "cgroup2"]
    if not options:
        return "no cgroup v2 hierarchy is mounted"
    if not any("rw" in words.split(",") for words in options):
        return "the cgroup v2 hierarchy is mounted read-only"
    tried = subprocess.run(["unshare", "-m", "-p", "-n", "-f", "true"], capture_output=True, text=True, check=False)
    return f"this machine makes no namespaces: {tried.stderr.strip()}" if tried.returncode else None


# ---- what is built, and kept -----------------------------------------------------------------------------------------


def kept(kind: str, script: Path, sources: Iterable[str]) -> Path:
    """What ``script`` writes into the directory that it is given, kept as long as none of ``sources`` changes."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *sources], cwd=REPOSITORY,
        capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    digest = hashlib.sha256()
    for name in sorted(name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()):
        digest.update(name.encode() + b"\0" + hashlib.sha256((REPOSITORY / name).read_bytes()).digest())
    place = cache_dir() / f"{kind}-{digest.hexdigest()[:16]}"
    if not place.is_dir():
        for old in cache_dir().glob(f"{kind}-*"):
            shutil.rmtree(old)
        part = place.with_suffix(".part")
        _run_whole([str(script), str(part)])
        part.rename(place)
    return place


def _run_whole(words: list[str]) -> None:
    """Run a command that must succeed; if we end before it, so does everything that it started."""
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(words, stdout=pipe, stderr=both, text=True, process_group=0) as started:
        try:
            said = started.communicate()[0]
        except BaseException:
            os.killpg(started.pid, signal.SIGTERM)
            raise
    assert started.returncode == 0, said


@pytest.fixture(scope="session")
def images() -> Path:
    """Built images; ``image.json`` describes them."""
    if reason := why_not():
        pytest.skip(reason)
    given = os.environ.get("PROMETHEUS_IMAGE")
    script = REPOSITORY / "containers/build-image.sh"
    return Path(given) if given else kept("image", script, ["prometheus", "containers", "poetry.lock"])


@pytest.fixture(scope="session")
def image_facts(images: Path) -> dict[str, Any]:
    return dict(json.loads((images / "image.json").read_text()))


@pytest.fixture(scope="session")
def package() -> Path:
    """The Debian package of the files as they are."""
    if reason := why_not():
        pytest.skip(reason)
    if given := os.environ.get("PROMETHEUS_DEB"):
        return Path(given)
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed: packages are built on Debian")
    sources = ["prometheus", "units", "packaging", "containers", "docs", "poetry.lock", "pyproject.toml"]
    (built,) = kept("deb", REPOSITORY / "packaging/deb/build-deb.sh", sources).glob("*.deb")
    return built


# ---- hosts -----------------------------------------------------------------------------------------------------------


def _told_to_end(number: int, _frame: object) -> NoReturn:
    pytest.exit(f"ended by {signal.Signals(number).name}")


@pytest.fixture(scope="session")
def bare_host(images: Path, package: Path):
    """A Debian host as it comes: systemd, Podman, nothing of ours.

    It wants image and package before: the image may be built in a host of its own, and there is only one at a time.
    """
    del images, package
    before = signal.signal(signal.SIGTERM, _told_to_end)  # so that the host is torn down before we go
    try:
        with Host(cache_dir() / f"host-{os.getpid()}") as host:
            yield host
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def installed(bare_host: Host, package: Path) -> Host:
    """The same host with our package; nothing runs yet."""
    host = bare_host
    host.put(package, "/srv/prometheus-quant.deb", 0o644)
    host.do("dpkg", "--install", "/srv/prometheus-quant.deb")
    # conmon complains about the memory controller, which this host lacks and a normal one has
    for stage in (1, 2):
        place = f"/etc/systemd/system/prometheus-stage{stage}@.service.d/lab.conf"
        host.write(place, "[Service]\nLogFilterPatterns=~<nwarn>\n")
    host.do("systemctl", "daemon-reload")
    # Several tests put other evidence into the place of this host's, which its witness would rightly tell of.
    host.do("systemctl", "disable", "--quiet", "--now", "prometheus-checkpoint.timer")
    return host


@pytest.fixture(scope="session")
def host(installed: Host, images: Path) -> Host:
    """The same host with a release in force: what an operator has before the first start."""
    archive = installed.inside("/srv/prometheus-quant.oci.tar")
    os.link(images / "prometheus-quant.oci.tar", archive)
    loaded = json.loads(installed.do(COMMAND, "release", "load", "/srv/prometheus-quant.oci.tar", "--json"))
    archive.unlink()
    installed.do(COMMAND, "release", "use", loaded["id"])
    return installed


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest):
    """Each test leaves the host as it found it: no stage running, none failed, no kill switch."""
    yield
    if "host" in request.fixturenames:
        host = request.getfixturevalue("host")
        if not host.is_up():  # its tree went on as a virtual machine's
            return
        host.inside("/etc/prometheus-quant/STOP").unlink(missing_ok=True)
        host.ask("systemctl", "stop", "prometheus-stage*@*.service")
        host.ask("systemctl", "reset-failed")


# ---- how often, how long ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def repeats() -> int:
    """How often a drill is repeated."""
    return REPEATS


_FIGURES: dict[str, list[float]] = {}


@pytest.fixture
def figures() -> dict[str, list[float]]:
    """Seconds that tests measured, by what they are of; the end of the session shows least, median and most."""
    return _FIGURES


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for what, seconds in sorted(_FIGURES.items()):
        if seconds:
            least, middle, most = min(seconds), statistics.median(seconds), max(seconds)
            terminalreporter.write_line(f"{what}: {least:.2f} / {middle:.2f} / {most:.2f} ({len(seconds)} times)")
