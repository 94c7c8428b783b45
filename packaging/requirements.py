#!/usr/bin/env python3
"""Print hashed pip requirements for the packages that poetry.lock locks (standard library only).

    packaging/requirements.py [--group NAME]... [--extra NAME]... [--beyond FILE]

pip installs the result with --require-hashes. A plain index is enough for that, so the same lock serves a laptop,
CI and the container image, and set-up needs no Poetry.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "poetry.lock"
EXTRA = re.compile(r'extra == "([^"]+)"')


def conditions(package: dict[str, object], groups: set[str]) -> list[str] | None:
    """The environment markers under which one of the asked groups wants a package; None: it wants it anyhow."""
    markers = package.get("markers")
    locked_for = sorted(groups & set(package["groups"]))  # type: ignore[call-overload]
    asked = [markers.get(group) if isinstance(markers, dict) else markers for group in locked_for]
    return None if None in asked else asked


def decided(marker: str, extras: set[str]) -> str | None:
    """A marker whose extras, unknown to pip here, are replaced by truths; None where it is plainly false."""
    unasked = {f'extra == "{name}"' for name in EXTRA.findall(marker) if name not in extras}
    terms = marker.split(" or ")
    if set(terms) <= unasked or (len(terms) == 1 and unasked):
        return None
    return EXTRA.sub(lambda m: 'python_version < "0"' if m[0] in unasked else 'python_version > "0"', marker)


def requirement(package: dict[str, object], groups: set[str], extras: set[str]) -> str | None:
    """One requirement line: name, exact version, marker, every locked hash; None where nobody asked for it."""
    asked = conditions(package, groups)
    markers = None if asked is None else [m for m in (decided(marker, extras) for marker in asked) if m is not None]
    if markers == []:
        return None
    when = f" ; {' or '.join(f'({m})' for m in dict.fromkeys(markers))}" if markers else ""
    hashes = " ".join(f"--hash={f['hash']}" for f in package["files"])  # type: ignore[attr-defined]
    return f"{package['name']}=={package['version']}{when} {hashes}"


def name_of(line: str) -> str:
    """The package that a requirement line names."""
    return line.partition("==")[0]


def main() -> int:
    """Read the lock beside this folder and print the requirements."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("--group", action="append", default=[], help="a Poetry group besides main (dev, bench)")
    arguments.add_argument(
        "--extra", action="append", default=[], help="an extra of the project (analysis, arrow, dask, journal)"
    )
    arguments.add_argument(
        "--beyond", type=Path, metavar="FILE", help="leave out packages that this list, made by this program, has"
    )
    asked = arguments.parse_args()
    lock = tomllib.loads(LOCK.read_text())
    known = lock.get("extras", {})
    missing = [name for name in asked.extra if name not in known]
    if missing:
        sys.stderr.write(f"no extra {missing[0]!r} in {LOCK.name}; known: {', '.join(known)}\n")
        return 64
    groups = {"main", *asked.group}
    there = set() if asked.beyond is None else {name_of(line) for line in asked.beyond.read_text().splitlines()}
    packages = (package for package in lock["package"] if package["name"] not in there)
    lines = (requirement(package, groups, set(asked.extra)) for package in packages)
    sys.stdout.writelines(line + "\n" for line in lines if line is not None)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
