"""The Debian package: the same bytes twice, nothing lintian calls an error, and a command that needs no numpy."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from prometheus.cli import host

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "packaging/deb/build-deb.sh"
FOREIGN = {"numpy", "numba", "cattrs", "orjson", "zstandard", "jsonlines", "sdnotify", "systemd"}


def build(out: Path) -> Path:
    ended = subprocess.run(
        [str(BUILD), str(out)], capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    if ended.returncode == 69:
        pytest.skip(f"the package cannot be built here: {ended.stderr.strip().splitlines()[-1]}")
    assert ended.returncode == 0, ended.stderr
    return Path(ended.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def tree(package, tmp_path_factory) -> Path:
    """What the package holds, unpacked, with its control files in DEBIAN."""
    out = tmp_path_factory.mktemp("tree") / "tree"
    subprocess.run(["dpkg-deb", "-R", str(package), str(out)], check=True)
    return out


@pytest.mark.drill
def test_two_builds_give_the_same_bytes(package, tmp_path):
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "two")
    finally:
        os.umask(before)
    assert again.name == package.name
    assert again.read_bytes() == package.read_bytes()


def test_lintian_finds_no_error(package):
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    ended = subprocess.run(
        ["lintian", "--fail-on", "error", "--allow-root", str(package)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_every_unit_and_program_of_the_host_is_in_it(tree):
    for unit in (REPOSITORY / "units").glob("*.*"):
        place = "prometheus-stage1@OKX_DEMO.service.d" if unit.suffix == ".conf" else ""
        assert (tree / "usr/lib/systemd/system" / place / unit.name).read_bytes() == unit.read_bytes()
    for program in ("instance-env", "record-result", "provision-host"):
        assert os.access(tree / "usr/lib/prometheus-quant" / program, os.X_OK)
    assert os.access(tree / "usr/lib/systemd/system-generators/prometheus-quant-generator", os.X_OK)


def test_every_command_of_the_host_has_its_man_page_in_it(tree):
    folder = tree / "usr/share/man/man1"
    version = (tree / "DEBIAN/control").read_text().partition("Version: ")[2].split()[0]
    commands = typer.main.get_command(host.host_line()).commands  # type: ignore[attr-defined]
    shown = [name for name, command in commands.items() if not command.hidden]  # the others are refused on a host
    wanted = {"prometheus-quant.1.gz", *(f"prometheus-quant-{name}.1.gz" for name in shown)}
    assert {one.name for one in folder.iterdir()} == wanted
    assert [name for name in wanted if version.encode() not in gzip.decompress((folder / name).read_bytes())] == []


def test_the_schemas_of_records_are_in_it(tree):
    place = Path("prometheus/v10/evidence/schemas")
    shipped = sorted((tree / "usr/lib/prometheus-quant/python" / place).glob("*.schema.json"))
    assert [(one.name, one.read_bytes()) for one in shipped] == [
        (one.name, one.read_bytes()) for one in sorted((REPOSITORY / place).glob("*.schema.json"))
    ]
    assert len(shipped) > 40


def test_configuration_is_the_administrators_and_evidence_is_not_in_it(tree):
    listed = (tree / "DEBIAN/conffiles").read_text().splitlines()
    assert "/etc/prometheus-quant/profiles/HF.toml" in listed
    assert all(line.startswith("/etc/prometheus-quant/profiles/") for line in listed)
    assert not (tree / "var").exists()
    for script in ("prerm", "postrm", "postinst"):
        text = (tree / "DEBIAN" / script).read_text()
        removed = [line for line in text.splitlines() if "rm -" in line]
        kept = [line for line in removed if "/var/lib/prometheus-quant-site " not in line]  # pages are made again
        assert not any("/var/lib/" in line or "/var/log/" in line for line in kept)


def test_its_sums_hold(tree):
    subprocess.run(["md5sum", "--quiet", "-c", "DEBIAN/md5sums"], cwd=tree, check=True)


def test_the_host_command_runs_from_its_own_packages_alone(tree, tmp_path):
    """Isolated as its first line says: whatever Python is at hand, of the versions that wheels are in it for."""
    folder = tree / "usr/lib/prometheus-quant/python"
    (tmp_path / "state").mkdir()  # an installation in which nothing ran yet
    code = (
        f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(folder)!r})\n"
        "import prometheus.cli.host\n"
        f"print(sorted({FOREIGN!r} & {{name.partition('.')[0] for name in sys.modules}}))\n"
        f"sys.argv[1:] = ['status', '--root', {str(tmp_path)!r}, '--json']\n"
        "sys.exit(prometheus.cli.host.main())\n"
    )
    for version in ("3.13", "3.11"):
        python = shutil.which(f"python{version}")
        if python is None or subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode != 0:
            continue
        ended = subprocess.run([python, "-IS", "-c", code], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[0] == "[]"
    assert (folder / "prometheus/_build.json").is_file()


def test_an_installed_command_is_about_its_host(tmp_path):
    """Without --root it must never pull a kill switch in the directory that somebody happens to stand in."""
    code = (
        "from pathlib import Path\n"
        "text = Path(__import__('prometheus.cli.places', fromlist=['x']).__file__).read_text()\n"
        "scope = {'__file__': '/usr/lib/prometheus-quant/python/prometheus/cli/places.py',"
        " '__name__': 'installed'}\n"
        "exec(compile(text, scope['__file__'], 'exec'), scope)\n"
        "print(scope['DEFAULT_ROOT'])\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "/\n"
