"""What a program imports before it does anything, and what it starts meanwhile."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import typer.main
from rich.console import Console

from prometheus.cli import commands, host
from prometheus.cli import main as cli
from prometheus.cli.operate.evidence_command import bytes_bar

HEAVY = ("numba", "numpy", "scipy", "matplotlib")
LIGHT = (
    "--version", "--help", "status --help", "stop --help", "doctor --help", "verify --help", "ledger --help",
    "custodian --help", "release --help", "progress --root /nonexistent",
    "kpi --root /nonexistent", "no-such-command", "runs list --root /nonexistent", "index build --root /nonexistent",
    "index --help",
)  # fmt: skip


def said_by(code: str, *words: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", ["prometheus.cli.main", "prometheus.cli.host"])
@pytest.mark.parametrize("line", LIGHT)
def test_a_command_that_evolves_nothing_imports_no_numbers(module, line):
    code = (
        f"import sys, {module} as line\n"
        f"line.main(sys.argv[1:])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert said_by(code, *line.split()) == "[]"


def test_a_program_that_will_evolve_imports_no_numbers_before_its_workers_do():
    code = (
        "import sys\n"
        "from prometheus.v10.base.early import listen\n"
        "from prometheus.v10.base.custody import entrust\n"
        "from prometheus.v10.runs.workers.fork_server import start_early\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert said_by(code) == "[]"


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda one: one.name)
def test_the_line_of_a_command_is_the_first_line_of_its_own_help(command):
    known = typer.main.get_command(cli.whole()).commands  # type: ignore[attr-defined]
    assert command.about == " ".join(known[command.name].help.split("\n\n")[0].split())


def test_a_host_knows_only_commands_of_the_table():
    assert set(host.ON_HOST) <= {one.name for one in commands.COMMANDS}


def server(code: str) -> str:
    """What ``code`` prints of the server that it started early."""
    start = (
        "import os\n"
        "from multiprocessing import forkserver\n"
        "from prometheus.v10.runs.workers import fork_server\n"
        "fork_server.start_early('prometheus.v10.base.modes')\n"
        "first = forkserver._forkserver._forkserver_pid\n"
    )
    return said_by(start + code)


def test_workers_are_forked_from_the_server_that_was_started_early():
    code = (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(1, mp_context=fork_server.start_fork_server(())) as pool:\n"
        "    print(first is not None and pool.submit(os.getppid).result() == first)"
    )
    assert server(code) == "True"


def test_a_run_with_one_worker_ends_the_server_that_was_started_early():
    code = (
        "from prometheus.v10.runs.workers.cluster import open_executor\n"
        "with open_executor(1) as executor:\n"
        "    print(first is not None, executor.submit(os.getpid).result() == os.getpid(),"
        " os.path.exists(f'/proc/{first}'))"
    )
    assert server(code) == "True True False"


def test_one_processor_is_left_to_the_program_itself():
    assert (
        said_by(
            "import os\n"
            "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
            "from multiprocessing import forkserver\n"
            "from prometheus.v10.runs.workers import fork_server\n"
            "fork_server.start_early('prometheus.v10.base.modes')\n"
            "print(forkserver._forkserver._forkserver_pid)"
        )
        == "None"
    )


@pytest.mark.parametrize("program", ["prometheus.v10.ops.run_v10_service", "prometheus.cli"])
def test_no_program_asks_the_server_for_itself(program):
    """A worker runs the main module again; were it loaded already, the interpreter would warn on standard error."""
    entry = Path(__import__(program, fromlist=["_"]).__file__ or "")
    entry = entry.with_name("__main__.py") if entry.name == "__init__.py" else entry
    started = re.findall(r'start_early\("([\w.]+)"\)', entry.read_text())
    assert program not in started
    named = {f"prometheus.cli.{one.module}" for one in commands.COMMANDS if one.evolves}
    assert not named & {program, f"{program}.__main__"}


def test_the_bar_of_a_verification_is_drawn_without_a_thread():
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    before = threading.active_count()
    with bytes_bar(console, "verify", 100) as progress:
        assert threading.active_count() == before
        for _ in range(10):
            progress(10)
            time.sleep(0.03)
    assert "/100 bytes" in shown.getvalue()


def test_a_program_that_needs_no_worker_leaves_no_server_behind():
    """The server would hold standard error open, and load or compile the world's code for nobody."""
    code = (
        "from multiprocessing import forkserver\n"
        "from prometheus.v10.runs.workers import fork_server\n"
        "fork_server.start_early('prometheus.v10.base.modes')\n"
        "print(forkserver._forkserver._forkserver_pid)"
    )
    assert not Path(f"/proc/{int(said_by(code))}").exists()


def test_a_server_that_workers_came_from_ends_by_itself():
    code = (
        "import os\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from prometheus.v10.runs.workers import fork_server\n"
        "fork_server.start_early('prometheus.v10.base.modes')\n"
        "with ProcessPoolExecutor(1, mp_context=fork_server.start_fork_server(())) as pool:\n"
        "    pool.submit(os.getpid).result()\n"
        "fork_server.end_unused_server()\n"
        "print(fork_server._unused)"
    )
    assert said_by(code) == "False"
