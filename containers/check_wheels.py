"""Hold every wheel of a directory to the hashes of poetry.lock, each time it is used.

    containers/check_wheels.py WHEELS LOCKED [--built NAME=RECORD]...    prints hashed requirements for pip

LOCKED is what packaging/requirements.py prints. RECORD is a requirements file that the build of a source-only package
left; only packages named so may have a hash that the lock does not name. A file that is no wheel, a link, a wheel that
nobody locked, or two wheels of one package are refused, unless the lock names the hash of each (one per
Python version). Exit 65 and one line when something does not hold. Standard library only.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

EX_DATA = 65
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class WrongWheelError(Exception):
    """A file is not what the lock names."""


def normal(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[tuple[str, str], set[str]]:
    """The sha256 that each ``name==version`` may have."""
    found: dict[tuple[str, str], set[str]] = {}
    for line in text.splitlines():
        if pin := _PIN.match(line):
            found.setdefault((normal(pin[1]), pin[2]), set()).update(_HASH.findall(line))
    return found


def checked(wheels: Path, allowed: dict[tuple[str, str], set[str]]) -> list[str]:
    """Requirement lines, sorted, of the wheels in a directory.

    Raises:
        WrongWheelError: naming the first file that is not what it should be.
    """
    lines = []
    for wheel in sorted(wheels.iterdir()):
        parts = wheel.name.split("-")
        if wheel.is_symlink() or not wheel.is_file() or wheel.suffix != ".whl" or len(parts) < 5:
            raise WrongWheelError(f"{wheel} is no wheel; remove the directory and build again")
        with wheel.open("rb") as reader:
            digest = hashlib.file_digest(reader, "sha256").hexdigest()
        if digest not in allowed.get((normal(parts[0]), parts[1]), ()):
            raise WrongWheelError(f"{wheel} has the sha256 {digest}, which is not locked; remove it and build again")
        lines.append(f"{parts[0].replace('_', '-')}=={parts[1]} --hash=sha256:{digest}")
    if not lines:
        raise WrongWheelError(f"{wheels} holds no wheels; remove the directory and build again")
    return sorted(lines)


def main() -> int:
    """Check, print; returns the exit code."""
    arguments = sys.argv[1:]
    if len(arguments) < 2 or len(arguments) % 2 or any(flag != "--built" for flag in arguments[2::2]):
        sys.stderr.write("usage: check_wheels.py WHEELS LOCKED [--built NAME=RECORD]...\n")
        return 64
    try:
        allowed = locked(Path(arguments[1]).read_text())
        for name, _, record in (said.partition("=") for said in arguments[3::2]):
            for pin, hashes in locked(Path(record).read_text()).items():
                if pin[0] == normal(name) and pin in allowed:
                    allowed[pin] |= hashes
        sys.stdout.writelines(f"{line}\n" for line in checked(Path(arguments[0]), allowed))
    except (WrongWheelError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"wheels: {error}\n")
        return EX_DATA
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
