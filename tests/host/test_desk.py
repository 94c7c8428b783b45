"""The desk on a real host: reports, pictures, exports, imports and a gate; and evidence that it cannot write, tried."""

from __future__ import annotations

import json
import re

import pytest
from lab.host import SERVICE_USER
from lab.stage import STATE, Stage, passes_the_audit

from tests.evidence_kept.keep import FAILED_GATE, GATE

OUT = "/srv/desk"
DESIGN = "/etc/prometheus-quant/g.toml"


@pytest.fixture(scope="module", autouse=True)
def a_sealed_run(host):
    """Something to report, to draw and to export; and where an operator keeps what he is given."""
    run = Stage(host, "DEMO").run_once()
    host.shell(f"mkdir {OUT} {OUT}/theirs; chown {SERVICE_USER}: {OUT}/theirs")
    host.write(DESIGN, GATE)
    host.write(f"{OUT}/dsn", "host=127.0.0.1", 0o600)
    return run


def type_in(host, line: str, *, where: str = OUT, user: str | None = None, code: int = 0) -> str:
    """A command line as it is typed; both outputs of it, when it ends with ``code``."""
    ended = host.ask("bash", "-c", f"cd {where} && prometheus-quant {line}", user=user)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def in_a_terminal(host, line: str, *, code: int = 0, **environ: str) -> str:
    """What a terminal of 80 columns gets of it."""
    told = " ".join(f"{name}={value}" for name, value in {"TERM": "xterm", **environ}.items())
    typed = f"stty cols 80 rows 24; {told} prometheus-quant {line}"
    ended = host.ask("script", "-q", "-e", "-c", typed, "/dev/null")
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


# ---- what is read ----------------------------------------------------------------------------------------------------


def test_the_doctor_knows_the_desk(host):
    found = json.loads(host.ask("prometheus-quant", "doctor", "--json").stdout)["findings"]
    assert [one["level"] for one in found if one["what"].startswith("desk: sha256:")] == ["ok"]


@pytest.mark.parametrize(("user", "where"), [(None, OUT), (SERVICE_USER, f"{OUT}/theirs")])
def test_a_page_lands_in_the_callers_folder_and_is_the_callers(host, user, where):
    said = type_in(host, "report latest --html run.html", user=user, where=where)
    assert f"written: {where}/run.html" in said
    place = host.inside(f"{where}/run.html")
    assert place.read_text().startswith("<!doctype html>")
    assert place.stat().st_uid == (0 if user is None else host.user_id(user))
    assert "exists" in type_in(host, "report latest --html run.html", user=user, where=where, code=64)


def test_pictures_are_drawn_on_a_host(host):
    said = type_in(host, "genome show 0 --plot genome.svg") + type_in(host, "kpi DEMO --plot kpi.png")
    assert "atplotlib" not in said  # it has its list of fonts, and need not make one
    assert "<svg" in host.inside(f"{OUT}/genome.svg").read_text()
    assert host.inside(f"{OUT}/kpi.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_in_a_terminal_has_its_width_and_its_colours(host):
    shown = in_a_terminal(host, "report latest")
    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 80
    assert "\x1b[3" not in in_a_terminal(host, "report latest", NO_COLOR="1")


def test_a_pool_is_exported_to_parquet(host):
    from pyarrow import parquet

    type_in(host, "pool export pool.parquet")
    records = host.inside(f"{STATE}/pools/stage1/pool.jsonl").read_text().splitlines()
    table = parquet.read_table(host.inside(f"{OUT}/pool.parquet"))
    assert table.column("id").to_pylist() == [json.loads(line)["id"] for line in records]


# ---- what is written -------------------------------------------------------------------------------------------------


def test_feather_is_imported_and_parquet_makes_it_grow(host):
    import pyarrow as pa
    from pyarrow import feather, parquet

    start, bars = 1_700_006_400, [100.0 + at % 7 for at in range(48)]
    dates = pa.array([(start + 3600 * at) * 1000 for at in range(48)], pa.timestamp("ms", "UTC"))
    table = pa.table({"date": dates, **dict.fromkeys(("open", "high", "low", "close", "volume"), pa.array(bars))})
    host.shell(f"mkdir {STATE}/bars")
    feather.write_feather(table.slice(0, 24), host.inside(f"{STATE}/bars/BTC_USDT-1h.feather"))
    parquet.write_table(table, host.inside(f"{STATE}/bars/BTC_USDT-1h.parquet"))
    type_in(host, f"market import {STATE}/bars/BTC_USDT-1h.feather desk_1h")
    type_in(host, f"market add desk_1h {STATE}/bars/BTC_USDT-1h.parquet")
    assert json.loads(type_in(host, "market show desk_1h --json"))["versions"][-1]["rows"] == 48
    assert host.inside(f"{STATE}/market/desk_1h").stat().st_uid == host.user_id(SERVICE_USER)


@pytest.mark.full
def test_a_gate_runs_on_a_host_shows_how_far_it_is_and_is_judged_again(host):
    shown = in_a_terminal(host, f"gate --config {DESIGN}", code=FAILED_GATE)
    assert "experiments" in shown
    assert "agent-ticks/s" in shown  # the bar, which only a terminal gets
    folder = host.inside(f"{STATE}/gates/g")
    assert folder.stat().st_uid == host.user_id(SERVICE_USER)
    lock = json.loads((folder / "gate_lock.json").read_text())
    (desk,) = re.findall(r"^PQ_IMAGE_DESK=(.*)$", host.inside("/etc/prometheus-quant/release.env").read_text(), re.M)
    assert lock["docker_image"] == desk
    assert json.loads(host.ask("prometheus-quant", "gate", "--config", DESIGN, "--json").stdout)["judged_again"] is True
    passes_the_audit(host)


TRIES = """
import json, os

top, looked, done = "LIB", 0, set()

def attempt(place, act):
    try:
        act()
    except OSError:
        return
    done.add(os.path.relpath(place, top).split("/")[0])

for folder, _, names in os.walk(top):
    attempt(folder, lambda: os.mkdir(folder + "/tried"))
    attempt(folder, lambda: os.chmod(folder, 0o777))
    attempt(folder, lambda: os.rename(folder, folder + ".moved"))
    for path in (folder + "/" + name for name in names):
        looked += 1
        attempt(path, lambda: os.utime(path))
        attempt(path, lambda: open(path, "ab").close())
        attempt(path, lambda: os.truncate(path, 0))
        attempt(path, lambda: os.link(path, path + ".link"))
        attempt(path, lambda: os.rename(path, path + ".moved"))
        attempt(path, lambda: os.unlink(path))
print(json.dumps([looked, sorted(done)]))
""".replace("LIB", STATE)
HAND_OVER = """
import sys
sys.path.insert(0, "/usr/lib/prometheus-quant/python")
from prometheus.cli.mounts import seen_by
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release_env import env_file, read_release
layout = Layout.system()
seen = seen_by(sys.argv[2:], layout, read_release(env_file(layout)))
sys.exit(Podman.of_service().attached(seen.image, "-I", "-c", sys.argv[1], volumes=seen.volumes, environ=()))
"""


@pytest.mark.parametrize(
    ("words", "writes"), [("report latest", []), ("pool export x.npy", []), ("market import x y", ["market"])]
)
def test_evidence_cannot_be_written_from_the_desk(host, words, writes):
    """Whoever has the whole image tries every folder and every file, under the mounts of that command."""
    host.shell(f"cp -a {STATE}/market {OUT}/market")
    looked, done = json.loads(host.do("/usr/bin/python3", "-IS", "-c", HAND_OVER, TRIES, *words.split()))
    host.shell(f"rm -r {STATE}/market; mv {OUT}/market {STATE}/market")
    assert looked > 20
    assert done == writes
    passes_the_audit(host)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"report latest --html {STATE}/runs_hf/x.html", "which only the suite writes"),
        (f"pool export {STATE}/state/x.npy", "which only the suite writes"),
        ("market import /etc/hostname x", "copy it there first"),
        ("run --profile HF", "systemctl start prometheus-stage1@HF"),
        ("venue serve", "run it in a checkout"),
        ("gate --cluster tcp://127.0.0.1:1", "works without --cluster"),
        ("index push --dsn-file dsn", "apt-get install libpq5"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_says_what_to_do(host, line, said):
    ended = host.ask("bash", "-c", f"cd {OUT} && prometheus-quant {line}")
    assert ended.returncode in {64, 78}, ended.stderr
    assert said in ended.stderr
    assert "pip install" not in ended.stdout + ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
