"""Builds trust content, never a name in a shared directory: caches, wheels, sources, build tools."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from prometheus.v10.base.provenance import MARK

REPOSITORY = Path(__file__).resolve().parents[3]
CONTAINERS = REPOSITORY / "containers"
NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="another user's files are made by root")


def run(script: str, *words: object, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-IB", str(CONTAINERS / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


# ---- the cache -------------------------------------------------------------------------------------------------------


def test_a_missing_cache_is_made_and_a_readable_one_is_tightened(tmp_path):
    cache = tmp_path / "a/cache"
    for _ in range(2):
        ended = run("private_dir.py", cache, umask=0)
        assert (ended.returncode, ended.stdout) == (0, f"{cache}\n"), ended.stderr
        assert {place.stat().st_mode & 0o777 for place in (cache, cache.parent)} == {0o700}
        cache.chmod(0o755)
        cache.parent.chmod(0o700)


def spoil(kind: str, cache: Path) -> None:
    """Make the cache what another user could have made it."""
    if kind == "link":
        cache.with_name("real").mkdir(mode=0o700)
        cache.symlink_to("real")
        return
    if kind == "file":
        cache.write_text("")
        return
    cache.mkdir(mode=0o700)
    (cache / "wheels").mkdir(mode=0o700)
    if kind == "writable and filled":
        cache.chmod(0o777)
    elif kind == "group-writable and filled":
        cache.chmod(0o770)
    elif kind == "another's":
        os.chown(cache, NOBODY, NOBODY)
    elif kind == "another's inside":
        os.chown(cache / "wheels", NOBODY, NOBODY)
    elif kind == "writable inside":
        (cache / "wheels").chmod(0o777)
    elif kind == "link inside":
        (cache / "wheels/x.whl").symlink_to("/etc/passwd")
    elif kind == "fifo inside":
        os.mkfifo(cache / "wheels/x.whl")
    elif kind == "writable parent":
        cache.parent.chmod(0o777)
    elif kind == "another's parent":
        os.chown(cache.parent, NOBODY, NOBODY)


@pytest.mark.parametrize(
    "kind",
    ["link", "file", "writable and filled", "group-writable and filled", "writable inside", "link inside",
     "fifo inside", "writable parent", *(pytest.param(kind, marks=root_only) for kind in (
         "another's", "another's inside", "another's parent"))],
)  # fmt: skip
def test_a_cache_that_another_user_could_fill_is_refused(tmp_path, kind):
    (tmp_path / "shared").mkdir()
    cache = tmp_path / "shared/cache"
    spoil(kind, cache)
    ended = run("private_dir.py", cache)
    assert ended.returncode == 78
    assert ended.stderr.count("\n") == 1
    assert str(cache.parent) in ended.stderr


def test_a_sticky_parent_is_fine_for_a_directory_of_ours(tmp_path):
    tmp_path.chmod(0o1777)
    assert run("private_dir.py", tmp_path / "cache").returncode == 0


@root_only
@pytest.mark.parametrize("script", ["containers/context.sh", "packaging/deb/build-deb.sh"])
def test_what_nobody_put_into_a_shared_place_is_not_built_from(tmp_path, script, request):
    shared = Path(tempfile.mkdtemp())  # not below pytest's own directory, which nobody else may enter
    request.addfinalizer(lambda: shutil.rmtree(shared))
    shared.chmod(0o1777)
    subprocess.run(["mkdir", str(shared / "cache")], user=NOBODY, group=NOBODY, extra_groups=[], check=True)
    environment = {**os.environ, "PQ_BUILD_CACHE": str(shared / "cache")}
    ended = subprocess.run(
        [REPOSITORY / script, tmp_path / "out"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 78, ended.stderr
    assert "belongs to user id 65534" in ended.stderr
    assert not (tmp_path / "out").exists()


# ---- wheels ----------------------------------------------------------------------------------------------------------


def wheel(folder: Path, name: str, text: str = "") -> str:
    """A wheel file; its requirement line."""
    folder.mkdir(exist_ok=True)
    place = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("module.py", text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(place.read_bytes()).hexdigest()}\n"


def test_wheels_are_held_to_the_lock_at_every_use(tmp_path):
    wheels, locked = tmp_path / "wheels", tmp_path / "locked.txt"
    locked.write_text(wheel(wheels, "one") + wheel(wheels, "two"))
    ended = run("check_wheels.py", wheels, locked)
    assert (ended.returncode, ended.stdout) == (0, locked.read_text())
    wheel(wheels, "two", "import evil")
    ended = run("check_wheels.py", wheels, locked)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (65, "", 1)


@pytest.mark.parametrize("wrong", ["unlocked", "swapped names", "no wheel", "link", "none", "built but not named"])
def test_what_the_lock_does_not_name_is_refused(tmp_path, wrong):
    wheels, locked, record = tmp_path / "wheels", tmp_path / "locked.txt", tmp_path / "record.txt"
    locked.write_text(wheel(wheels, "one") + f"two==1.0 --hash=sha256:{'0' * 64}\n")
    one = wheels / "one-1.0-py3-none-any.whl"
    if wrong == "unlocked":
        record.write_text(wheel(wheels, "three"))
    elif wrong == "swapped names":
        one.rename(wheels / "two-1.0-py3-none-any.whl")
    elif wrong == "no wheel":
        (wheels / "sitecustomize.py").write_text("")
    elif wrong == "link":
        one.rename(tmp_path / one.name)
        one.symlink_to(tmp_path / one.name)
    elif wrong == "none":
        one.unlink()
    else:
        record.write_text(wheel(wheels, "two"))
    named = ["--built", f"three={record}"] if wrong == "unlocked" else []
    assert run("check_wheels.py", wheels, locked, *named).returncode == 65
    if wrong == "built but not named":
        assert run("check_wheels.py", wheels, locked, "--built", f"two={record}").returncode == 0


# ---- sources ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """A small checkout, committed."""
    root = tmp_path / "tree"
    for name in (MARK, "units/a.service", "README"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "all")
    return root


def git(root: Path, *words: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = ["-c", "user.name=n", "-c", "user.email=n@example.invalid"]
    subprocess.run(["git", *who, *words], cwd=root, env=clean, check=True)


def test_what_is_built_from_is_a_copy_of_the_commit(tree, tmp_path):
    (tree / "prometheus/__pycache__").mkdir()
    (tree / "prometheus/__pycache__/x.pyc").write_text("")
    ended = run("source_state.py", tree, tmp_path / "out", "prometheus", "units")
    assert "dirty=false" in ended.stdout, ended.stderr
    copied = {str(place.relative_to(tmp_path / "out")) for place in (tmp_path / "out").rglob("*") if place.is_file()}
    assert copied == {MARK, "units/a.service"}


@pytest.mark.parametrize("change", ["hidden", "ignored", "elsewhere", "new unit", "missing"])
def test_no_build_claims_a_commit_whose_content_it_has_not(tree, tmp_path, change):
    if change == "hidden":
        git(tree, "update-index", "--assume-unchanged", MARK)
        (tree / MARK).write_text("other\n")
    elif change == "ignored":
        (tree / ".git/info/exclude").write_text("*.so\n")
        (tree / "prometheus/x.so").write_text("")
    elif change == "elsewhere":
        (tree / "README").write_text("other\n")
    elif change == "new unit":
        (tree / "units/b.service").write_text("")
    else:
        (tree / "units/a.service").unlink()
    ended = run("source_state.py", tree, tmp_path / "out", "prometheus", "units")
    assert "dirty=true" in ended.stdout, ended.stderr


# ---- releases --------------------------------------------------------------------------------------------------------


def test_a_signed_build_without_a_pinned_base_is_refused_at_once(tmp_path):
    shutil.copytree(CONTAINERS, tmp_path / "containers")
    pins = tmp_path / "containers/base.env"
    pins.write_text(re.sub(r"(?m)^(BASE_DIGEST|STAND_IN_DIGEST)=.*$", r"\1=", pins.read_text()))
    key = tmp_path / "key"
    key.write_text("")

    def build(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / "containers/build-image.sh"), *map(str, words)]
        return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)

    for ended in (build("--sign", key, tmp_path / "out"), build(tmp_path / "out", PQ_SIGNING_KEY=str(key))):
        assert ended.returncode == 78, ended.stderr
        assert "pins no base" in ended.stderr
    assert build("--sign", tmp_path / "missing").returncode == 66
    assert build("--sign").returncode == 64
    assert build("--other").returncode == 64


def test_a_machine_without_the_tools_is_told_before_anything_is_made(tmp_path):
    """With a search path of a few tools only: no Podman, no mmdebstrap."""
    tools = tmp_path / "bin"
    tools.mkdir()
    wanted = ("bash", "env", "dirname", "basename", "realpath", "id", "python3", "git", "sha256sum")
    for name in (*wanted, "mktemp", "rm", "cat", "cut"):
        # A shim of a version manager would want the rest of its tools.
        found = os.path.realpath(sys.executable) if name == "python3" else shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    command = [str(tools / "bash"), str(CONTAINERS / "context.sh"), "--check"]
    environment = {"PATH": str(tools), "PQ_BUILD_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 69, ended.stderr
    assert "not installed: mmdebstrap pkg-config" in ended.stderr
    assert "apt-get install mmdebstrap pkg-config" in ended.stderr


# ---- set-up ----------------------------------------------------------------------------------------------------------


def commands(script: str) -> list[str]:
    """Every pip command of a script, on one line."""
    text = (REPOSITORY / script).read_text().replace("\\\n", " ")
    kept = [" ".join(line.split()) for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line for line in kept if re.search(r'-m pip (install|download|wheel)|"\$\{pip\[@\]\}"', line)]


@pytest.mark.parametrize("script", ["packaging/setup.sh", "containers/build-wheels.sh", "packaging/deb/build-deb.sh"])
def test_pip_takes_nothing_without_a_hash_and_fetches_no_backend_itself(script):
    found = commands(script)
    assert found
    for command in found:
        assert "--require-hashes" in command or "--no-index" in command, command
        assert "--no-build-isolation" in command or "--only-binary=:all:" in command or "*.whl" in command, command


def test_every_build_tool_is_pinned_and_hashed_and_the_backend_is_among_them():
    backend = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]
    for place in ("packaging/build-requirements.txt", "containers/build-requirements.txt"):
        lines = [line for line in (REPOSITORY / place).read_text().splitlines() if not line.startswith("#")]
        assert lines
        assert all(re.fullmatch(r"[\w-]+==[\w.]+( --hash=sha256:[0-9a-f]{64})+", line) for line in lines)
    named = re.findall(r"^([\w-]+)==", (REPOSITORY / "packaging/build-requirements.txt").read_text(), re.MULTILINE)
    assert {re.split(r"[<>=]", need)[0] for need in backend} <= set(named)


def test_an_image_asks_for_its_tools_before_set_up_and_package():
    ended = subprocess.run(
        ["make", "-n", "-W", "poetry.lock", "deb", "image"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    order = [line for line in ended.stdout.splitlines() if re.search(r"\.sh\b", line)]
    assert order[0] == "containers/build-image.sh --prepare"
    assert order.index("packaging/deb/build-deb.sh dist/deb") < order.index("containers/build-image.sh dist/image")
