"""The test host as fixtures: built once, booted in seconds, torn down; skipped, and why, where it cannot run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE))  # the lab is a package of these tests alone

from lab.host import SERVICE_USER, Host  # noqa: E402
from lab.rootfs import cache_dir  # noqa: E402

TARGETS = ("stage1_sandbox", "stage2_sandbox")
REPOSITORY_NAME = "localhost/prometheus-quant"
GENERATOR = "prometheus-quant-generator"


def why_not() -> str | None:
    """What keeps the test host from running here, or None."""
    if os.geteuid() != 0:
        return "the test host needs root"
    for tool in ("systemd-nspawn", "mmdebstrap", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed: tests/host/prerequisites.sh installs it"
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    if not any(kind == "cgroup2" for _, _, kind, *_ in mounts):
        return "no cgroup v2 hierarchy is mounted"
    return None


def image_dir() -> Path:
    """The directory of the built images: ``$PROMETHEUS_IMAGE``, else built for the files as they are, and kept."""
    given = os.environ.get("PROMETHEUS_IMAGE")
    if given:
        return Path(given)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "prometheus", "containers",
         "poetry.lock"], cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    digest = hashlib.sha256()
    for name in sorted(name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()):
        digest.update(name.encode() + b"\0" + hashlib.sha256((REPOSITORY / name).read_bytes()).digest())
    kept = cache_dir() / f"image-{digest.hexdigest()[:16]}"
    if not (kept / "image.json").is_file():
        for old in cache_dir().glob("image-*"):
            shutil.rmtree(old)
        part = kept.with_suffix(".part")
        subprocess.run([str(REPOSITORY / "containers/build-image.sh"), str(part)], check=True, capture_output=True)
        part.rename(kept)
    return kept


@pytest.fixture(scope="session")
def images() -> Path:
    """Built images; ``image.json`` describes them."""
    if reason := why_not():
        pytest.skip(reason)
    return image_dir()


@pytest.fixture(scope="session")
def image_facts(images: Path) -> dict[str, Any]:
    return dict(json.loads((images / "image.json").read_text()))


@pytest.fixture(scope="session")
def bare_host():
    """A Debian host as it comes: systemd, Podman, nothing of ours."""
    if reason := why_not():
        pytest.skip(reason)
    with Host(cache_dir() / f"host-{os.getpid()}") as host:
        yield host


@pytest.fixture(scope="session")
def installed(bare_host: Host) -> Host:
    """The same host with our files in place and provisioned, as the package leaves it; nothing runs yet."""
    host, packaging, units = bare_host, REPOSITORY / "packaging", REPOSITORY / "units"
    host.put(packaging / "sysusers.d/prometheus-quant.conf", "/usr/lib/sysusers.d/prometheus-quant.conf", 0o644)
    host.put(packaging / "tmpfiles.d/prometheus-quant.conf", "/usr/lib/tmpfiles.d/prometheus-quant.conf", 0o644)
    host.put(packaging / "prometheus-quant.catalog", "/usr/lib/systemd/catalog/prometheus-quant.catalog", 0o644)
    host.put(packaging / "provision-host.sh", "/usr/lib/prometheus-quant/provision-host", 0o755)
    for unit in units.iterdir():
        if unit.suffix in {".service", ".path", ".timer", ".target", ".slice"}:
            host.put(unit, f"/usr/lib/systemd/system/{unit.name}", 0o644)
    for program in (units / "libexec").iterdir():
        place = "systemd/system-generators" if program.name == GENERATOR else "prometheus-quant"
        host.put(program, f"/usr/lib/{place}/{program.name}", 0o755)
    # conmon complains about the memory controller, which this host lacks and a normal one has
    host.write("/etc/systemd/system/prometheus-stage1@.service.d/lab.conf", "[Service]\nLogFilterPatterns=~<nwarn>\n")
    host.do("/usr/lib/prometheus-quant/provision-host")
    return host


@pytest.fixture(scope="session")
def host(installed: Host, images: Path) -> Host:
    """The same host with images, profiles and kill switch ready: what an operator has before the first start."""
    archive = f"/var/lib/{SERVICE_USER}-podman/image.oci.tar"
    os.link(images / "prometheus-quant.oci.tar", installed.inside(archive))
    installed.inside(archive).chmod(0o644)
    for target in TARGETS:
        installed.do("podman", "pull", "-q", f"oci-archive:{archive}:{REPOSITORY_NAME}:{target}", user=SERVICE_USER)
    installed.inside(archive).unlink()
    installed.put(images / "release.env", "/etc/prometheus-quant/release.env", 0o644)
    for profile in (REPOSITORY / "prometheus/v10/runs/profiles").glob("*.toml"):
        installed.put(profile, f"/etc/prometheus-quant/profiles/{profile.name}", 0o644)
    installed.do("systemctl", "enable", "--now", "prometheus-stop.path")
    return installed


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest):
    """Each test leaves the host as it found it: no stage running, none failed, no kill switch."""
    yield
    if "host" in request.fixturenames:
        host = request.getfixturevalue("host")
        host.inside("/etc/prometheus-quant/STOP").unlink(missing_ok=True)
        host.ask("systemctl", "stop", "prometheus-stage*@*.service")
        host.ask("systemctl", "reset-failed")


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
