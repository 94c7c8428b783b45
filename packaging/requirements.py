#!/usr/bin/env python3
"""Print hashed pip requirements for the packages that poetry.lock locks (standard library only).

    packaging/requirements.py [--group NAME]... [--extra NAME]...

pip installs the result with --require-hashes. A plain index is enough for that, so the same lock serves a laptop,
CI and the container image, and set-up needs no Poetry.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "poetry.lock"


def wanted(package: dict[str, object], groups: set[str], extras: dict[str, list[str]]) -> bool:
    """Whether one locked package belongs to the asked groups, or to one of the asked extras."""
    locked_groups = set(package["groups"])  # type: ignore[call-overload]
    if not locked_groups & groups:
        return False
    markers = package.get("markers")
    for_main = markers.get("main", "") if isinstance(markers, dict) else markers or ""
    only_for_an_extra = package["optional"] or "extra ==" in for_main  # pyarrow: an extra here, plain in dev
    if not only_for_an_extra or locked_groups & (groups - {"main"}):
        return True
    return any(package["name"] in members for members in extras.values())


def requirement(package: dict[str, object], groups: set[str]) -> str:
    """One requirement line: name, exact version, marker, every locked hash."""
    markers = package.get("markers")
    if isinstance(markers, dict):  # markers that differ by group
        several = {markers[g] for g in groups if g in markers}
        markers = " or ".join(f"({m})" for m in sorted(several)) if len(several) == len(groups & set(markers)) else None
    if isinstance(markers, str):  # "extra == …" is decided here, not by pip
        markers = None if "extra ==" in markers else markers
    hashes = " ".join(f"--hash={f['hash']}" for f in package["files"])  # type: ignore[attr-defined]
    return f"{package['name']}=={package['version']}{f' ; {markers}' if markers else ''} {hashes}"


def main() -> int:
    """Read the lock beside this folder and print the requirements."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("--group", action="append", default=[], help="a Poetry group besides main (dev, bench)")
    arguments.add_argument("--extra", action="append", default=[], help="an extra of the project (arrow, journal)")
    asked = arguments.parse_args()
    lock = tomllib.loads(LOCK.read_text())
    known = lock.get("extras", {})
    missing = [name for name in asked.extra if name not in known]
    if missing:
        sys.stderr.write(f"no extra {missing[0]!r} in {LOCK.name}; known: {', '.join(known)}\n")
        return 64
    groups = {"main", *asked.group}
    extras = {name: known[name] for name in asked.extra}
    sys.stdout.writelines(requirement(p, groups) + "\n" for p in lock["package"] if wanted(p, groups, extras))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
