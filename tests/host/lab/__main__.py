"""The test host by hand, to look around in when a test fails.

python tests/host/lab up                     boot it (unpack it first where it is not there)
python tests/host/lab run [--user U] -- CMD  run a command in it; the exit code is the command's
python tests/host/lab reboot | off | plug    restart it, shut it down, pull its plug
python tests/host/lab destroy                end it and remove its tree
python tests/host/lab build CONTEXT OUT      build the images in a host of its own
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from lab.builder import build
from lab.host import Host
from lab.rootfs import SUITE, cache_dir

VERBS = ("up", "run", "reboot", "off", "plug", "destroy", "build")


def main() -> int:
    """Do one verb; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--work", type=Path, default=cache_dir() / "by-hand", help="where its tree lies")
    parser.add_argument("--suite", default=SUITE, help=f"which Debian a fresh tree is of ({SUITE})")
    parser.add_argument("--user", help="who runs the command (root)")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    if asked.verb == "build":
        context, out = asked.command
        build(Path(context), Path(out))
        return 0
    host = Host(asked.work, lasting=True)
    host.suite = asked.suite
    if asked.verb == "run":
        words = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
        line = host.command(*words, user=asked.user)
        os.execvp(line[0], line)  # noqa: S606  (the caller's own command, in the host)
    verbs = {
        "up": host.up,
        "reboot": host.reboot,
        "off": host.power_off,
        "plug": host.pull_the_plug,
        "destroy": host.destroy,
    }
    verbs[asked.verb]()
    host.let_go()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
