"""What code this is and what it runs on (contracts, sections 2 and 15).

Build facts are baked in: ``prometheus/_build.json`` (written into the image and the package) goes first; in a git
checkout the commit is measured by content (`prometheus.v10.base.provenance`). What the environment says of code is not
believed. An image's name and digest are what its caller asserts. What nothing knows is null plus a reason; nothing is
ever called "unknown".
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.isolation import CPU_NAME
from prometheus.v10.base.provenance import TreeState, tree_state
from prometheus.v10.evidence.records.nulls import Nulls

BUILD_FILE = "_build.json"
IMAGE, IMAGE_DIGEST = "PQ_IMAGE", "PQ_IMAGE_DIGEST"
PACKAGES = ("numpy", "numba", "llvmlite", "attrs", "cattrs", "orjson")
CPU_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "asimdfhm", "sve")
NATIVE = "native"
"""Machine code that was compiled for the processor at hand, as it is outside an image."""
_TIMEOUT = 5.0


@frozen(kw_only=True)
class Host:
    """The machine, as far as results or their speed may depend on it."""

    kernel: str
    machine: str
    cpu: str | None
    cpu_flags: list[str] | None
    cpus: int | None
    memory_bytes: int | None
    libc: str | None
    systemd: str | None
    podman: str | None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Environment:
    """Code and host of this process; ``null_reasons`` uses the manifest's paths (``git_commit``, ``host.podman``)."""

    git_commit: str | None
    git_dirty: bool | None
    docker_image: str | None
    image_digest: str | None
    python_version: str
    versions: dict[str, str | None]
    host: Host
    null_reasons: dict[str, str]


def probe(
    *,
    package: Path | None = None,
    env: Mapping[str, str] | None = None,
    cpuinfo: Path = Path("/proc/cpuinfo"),
    meminfo: Path = Path("/proc/meminfo"),
) -> Environment:
    """Look at code and host once; takes well under a second.

    Args:
        package: directory of the ``prometheus`` package; its parent may be a checkout.
        env: environment variables.
        cpuinfo: where the kernel describes the processor.
        meminfo: where the kernel describes the memory.

    Raises:
        ConfigError: when the baked-in build file is there but cannot be read: a build must not be guessed at.
    """
    package = package or Path(__file__).resolve().parents[3]
    env = os.environ if env is None else env
    nulls = Nulls()
    build = _build(package / BUILD_FILE)
    commit, dirty = _code(build, package.parent, nulls)
    absent = f"neither {BUILD_FILE} nor the environment names it: not a built image"
    return Environment(
        git_commit=commit,
        git_dirty=dirty,
        docker_image=nulls.known("docker_image", build.get("docker_image") or env.get(IMAGE) or None, absent),
        image_digest=nulls.known("image_digest", build.get("image_digest") or env.get(IMAGE_DIGEST) or None, absent),
        python_version=platform.python_version(),
        versions=_versions(nulls),
        host=_host(cpuinfo, meminfo, env, nulls),
        null_reasons=nulls.reasons,
    )


def _build(path: Path) -> dict[str, Any]:
    """The baked-in facts, or nothing where none are baked in."""
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="the build is damaged: install it again") from error
    if not isinstance(facts, dict):
        raise ConfigError(f"{path} is not a JSON object", hint="the build is damaged: install it again")
    return facts


def _code(build: Mapping[str, Any], checkout: Path, nulls: Nulls) -> tuple[str | None, bool | None]:
    """Commit, and whether the code differs from it; both from the same source."""
    if build.get("git_commit"):
        dirty = build.get("git_dirty")
        return str(build["git_commit"]), nulls.known("git_dirty", dirty, f"{BUILD_FILE} does not say")
    if not (checkout / ".git").exists():  # a parent directory's repository would be somebody else's
        reason = f"no {BUILD_FILE}, and not a git checkout; what the environment says of code is not believed"
        return nulls.unknown("git_commit", reason), nulls.unknown("git_dirty", reason)
    state = _tree_state(checkout)
    if state.commit is None:
        reason = "the checkout's commit cannot be established by content: no git, no commit, or another repository's"
        return nulls.unknown("git_commit", reason), nulls.unknown("git_dirty", reason)
    return state.commit, state.dirty


@functools.cache
def _tree_state(checkout: Path) -> TreeState:
    """What the checkout holds, by content; once a process, whose code does not change any more."""
    return tree_state(checkout)


def _said_by(*command: str) -> tuple[str | None, str]:
    """What a command prints, or None and why there is nothing."""
    program = shutil.which(command[0])
    if program is None:
        return None, f"no {command[0]} command here"
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=_TIMEOUT, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{command[0]} could not be asked: {error}"
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return None, f"{command[0]} ended with {done.returncode}: {said}"
    return done.stdout.strip(), ""


def _versions(nulls: Nulls) -> dict[str, str | None]:
    """Versions of the packages that a result could depend on."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = nulls.unknown(f"versions.{name}", "not installed")
    return found


def _host(cpuinfo: Path, meminfo: Path, env: Mapping[str, str], nulls: Nulls) -> Host:
    """The machine under ``host.`` paths, and for which level of it the world's code was compiled."""
    cpu = _fields(cpuinfo)
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    memory = _fields(meminfo).get("MemTotal", "").split()
    libc = " ".join(platform.libc_ver()).strip()
    systemd, no_systemd = _said_by("systemctl", "--version")
    podman, no_podman = _said_by("podman", "--version")
    return Host(
        kernel=platform.release(),
        machine=platform.machine(),
        cpu=nulls.known("host.cpu", cpu.get("model name") or cpu.get("Model"), f"{cpuinfo} does not name it"),
        cpu_flags=nulls.known(
            "host.cpu_flags", [f for f in CPU_FLAGS if f in flags] if flags else None, f"{cpuinfo} does not list them"
        ),
        cpus=nulls.known("host.cpus", os.cpu_count(), "the system does not say"),
        memory_bytes=nulls.known(
            "host.memory_bytes", int(memory[0]) * 1024 if memory else None, f"{meminfo} does not say"
        ),
        libc=nulls.known("host.libc", libc or None, f"{sys.executable} does not name its C library"),
        systemd=nulls.known("host.systemd", _first_line(systemd), no_systemd or "systemctl printed nothing"),
        podman=nulls.known("host.podman", _first_line(podman), no_podman or "podman printed nothing"),
        extra={"machine_code": env.get(CPU_NAME) or NATIVE},
    )


def _first_line(text: str | None) -> str | None:
    return text.splitlines()[0] if text else None


def _fields(path: Path) -> dict[str, str]:
    """``name: value`` lines of a file in /proc, the first of each name; empty where the file is not there."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found
