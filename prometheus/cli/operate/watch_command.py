"""``watch``: an installation at a glance, again and again, in a terminal. It reads, and no key of it stops anything."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live

from prometheus.cli.operate.watch_scene import Scene, Watcher
from prometheus.cli.operate.watch_screen import frame
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.systemd import Systemd

WATCH_EXAMPLES = examples("watch --root var", "watch --every 5", "watch --once")
LEAST_SECONDS = 0.5


def watch_command(
    *,
    root: Root = DEFAULT_ROOT,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=LEAST_SECONDS, help="Time between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one look and end.")] = False,
    as_json: AsJson = False,
) -> Report:
    """Watch what runs: instances, populations, evidence, disk and journal; q quits, p pauses. It only reads."""
    layout = Layout.under(root)
    if not layout.lib.is_dir():
        raise UsageError(f"there is no installation in {layout.lib}", hint="name its root: --root DIR")
    watcher = Watcher(layout, Systemd.of(layout), SystemClock())
    console = Console()
    if once or as_json:
        scene = watcher.look()
        data = {"status": dict(scene.status), "progress": {k: v.plain() for k, v in scene.progress.items()}}
        return Report(data, frame(scene, console.width, 200)[:-1]).asked(as_json=as_json)
    if not (console.is_terminal and sys.stdin.isatty()):
        raise UsageError("watch needs a terminal", hint="watch --once prints one look; status --json is for scripts")
    with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        _follow(watcher, live, keys, every)
    return Report({}, [])


def _follow(watcher: Watcher, live: Live, keys: int, every: float) -> None:
    """Look and show until somebody quits."""
    scene, paused = watcher.look(), False
    due = time.monotonic() + every
    while True:
        _show(live, scene, paused=paused)
        key = _pressed(keys, max(0.0, min(due - time.monotonic(), every)))
        if key in {"q", "Q", "\x03", "\x04", "\x1b"}:
            return
        paused ^= key in {"p", "P", " "}
        if time.monotonic() >= due:
            due = time.monotonic() + every
            scene = scene if paused else watcher.look()


def _show(live: Live, scene: Scene, *, paused: bool) -> None:
    size = live.console.size
    live.update(Group(*frame(scene, size.width, size.height, paused=paused)), refresh=True)


def _pressed(keys: int, seconds: float) -> str:
    """The key that was pressed within some seconds; nothing where none was."""
    ready, _, _ = select.select([keys], [], [], seconds)
    return os.read(keys, 1).decode("latin-1") if ready else ""


@contextmanager
def _keys() -> Iterator[int]:
    """The terminal's keys, one by one and unseen; as it was, whatever happens."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    try:
        tty.setcbreak(keys)
        yield keys
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
