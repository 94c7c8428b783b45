"""The core does not change: CORE.lock, the files and the functions in memory must be the same (contracts, section 9).

1. ``CORE.lock`` lists the sha256 of every source file of ``prometheus/v10/core``; `write_lock` is the only way to make
   it.
2. `check_core` compares the files with the lock, then what is loaded in memory with the files: each module is compiled
   afresh from its source, and every function, class and constant must be the same. A monkey patch, a changed default or
   a replaced constant is found.
3. In an image, the compiled code must be what the image was built with (`machine_code`).
4. The hash of the lock stands in every manifest as ``core_hash``.
"""

from __future__ import annotations

import hashlib
import importlib
import marshal
import sys
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from prometheus.v10 import core
from prometheus.v10.base.errors import CoreInvarianceError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.runs.workers.machine_code import check_machine_code

CORE = Path(core.__file__).parent
LOCK = CORE / "CORE.lock"

SAME_BITS: dict[str, tuple[str, ...]] = {
    "aa4d8831b743d88ba9d2e8eff2127420549b97f016b59e73558341ba45fe5624": (
        "7158bd905c779e24a256d38c3687794aeeb7c48ded1563aa2b4b3e7bfda7cd6f",  # until ADR 0066
    ),
}
"""A core's hash to those of earlier cores whose every result it gives to the bit, as a decision record says."""


def core_files() -> list[Path]:
    """Source files of the core, sorted by name."""
    return sorted(CORE.glob("*.py"))


def lock_text() -> str:
    """What CORE.lock must say: ``sha256  name`` a line, as sha256sum prints it."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in core_files())


def core_hash() -> str:
    """sha256 of what CORE.lock must say: one hash for the whole core."""
    return hashlib.sha256(lock_text().encode()).hexdigest()


def repeats(core: str) -> bool:
    """Whether this core gives the bits of the core with that hash: it is that core, or is known to."""
    here = core_hash()
    return core == here or core in SAME_BITS.get(here, ())


def write_lock() -> str:
    """Write CORE.lock from the files as they are; returns the core's hash."""
    write_atomic(LOCK, lock_text().encode(), mode=0o644)
    return core_hash()


def check_core() -> str:
    """Compare lock, files and memory; returns the core's hash.

    Raises:
        CoreInvarianceError: naming what differs, with both hashes.
    """
    refuse_site_hooks()
    check_machine_code()
    _check_files()
    for path in core_files():
        if path.stem != "__init__":
            _check_memory(path)
    return core_hash()


def _check_files() -> None:
    hint = (
        "restore the core from the commit, or write a new lock with `prometheus-quant core lock` and say so in an ADR"
    )
    try:
        locked = _sums(LOCK.read_text())
    except (OSError, ValueError) as error:
        raise CoreInvarianceError(f"{LOCK} cannot be read: {error}", hint=hint) from error
    found = _sums(lock_text())
    for name in sorted(locked.keys() | found.keys()):
        if locked.get(name) != found.get(name):
            raise CoreInvarianceError(
                f"core file {CORE / name} is not the locked one: CORE.lock {locked.get(name, 'does not name it')}, "
                f"file {found.get(name, 'is missing')}",
                hint=hint,
            )


def _sums(text: str) -> dict[str, str]:
    """Name to sha256 of lines as sha256sum prints them."""
    pairs = [line.split("  ") for line in text.splitlines()]
    return {name: digest for digest, name in pairs}


def _check_memory(path: Path) -> None:
    name = f"{core.__name__}.{path.stem}"
    loaded = importlib.import_module(name)
    made = _made(name, path, path.read_bytes())
    for what in sorted(vars(loaded).keys() | made.keys()):
        if what.startswith("__"):
            continue
        ours, (kind, theirs) = vars(loaded).get(what, _ABSENT), made.get(what, _NOTHING)
        _check_type(ours, kind, f"{name}.{what}", path)
        if (found := tuple(_essence(ours, name))) != theirs:
            raise CoreInvarianceError(
                f"{name}.{what} in memory is not what {path} says: file {_digest(theirs)}, memory {_digest(found)}",
                hint="something replaced it at run time; start again without whatever was imported besides",
            )


@cache
def _made(name: str, path: Path, source: bytes) -> dict[str, tuple[type, tuple[Any, ...]]]:
    """Type and essence of each member of the module that a source makes.

    The same source makes the same module: a service, which checks at each run, makes it once.
    """
    loaded, fresh = sys.modules[name], types.ModuleType(name)
    fresh.__file__ = str(path)
    # Registered while it runs, because NamedTuple and typing look their module up by name.
    sys.modules[name] = fresh
    try:
        exec(compile(source, str(path), "exec"), fresh.__dict__)  # noqa: S102  (the very file that is locked)
    finally:
        sys.modules[name] = loaded
    return {what: (type(value), tuple(_essence(value, name))) for what, value in vars(fresh).items()}


def _check_type(ours: Any, theirs: type, what: str, path: Path) -> None:
    """An object that only carries what a compiled function carries is not that function.

    Raises:
        CoreInvarianceError: when the member in memory is of another type than the one that the source makes.
    """
    if isinstance(ours, type) or theirs.__module__.startswith(core.__name__):
        return  # classes are compared member by member
    if type(ours) is not theirs:
        raise CoreInvarianceError(
            f"{what} in memory is a {type(ours).__qualname__}, {path} makes a {theirs.__qualname__}",
            hint="something replaced it at run time; start again without whatever was imported besides",
        )


def refuse_site_hooks() -> None:
    """Refuse to go on where a site hook ran before us: it may have replaced anything.

    Raises:
        CoreInvarianceError: naming the hook. The hook of Debian's own interpreter is known and does nothing.
    """
    for hook in ("sitecustomize", "usercustomize"):
        module = sys.modules.get(hook)
        place = getattr(module, "__file__", None)
        if module is not None and not str(Path(str(place)).resolve()).startswith("/etc/python3"):
            raise CoreInvarianceError(
                f"{hook} was loaded from {place} before the suite: what it replaced cannot be known",
                hint="remove it, or start prometheus-quant itself, which isolates its interpreter",
            )


_ABSENT = object()
_NOTHING: tuple[type, tuple[Any, ...]] = object, (("object", "absent"),)


def _essence(value: Any, module: str) -> Iterator[Any]:
    """What makes a module's member what it is, in comparable form."""
    function = getattr(value, "py_func", value)  # a compiled function's source
    if isinstance(function, types.FunctionType):
        # Version 2: later ones write how often an object is referred to, which differs after loading from bytecode.
        code, defaults = function.__code__, (function.__defaults__, function.__kwdefaults__)
        yield from ("function", function.__module__, marshal.dumps(code, 2), repr(defaults))
        yield repr(sorted(getattr(value, "targetoptions", {}).items()))
    elif isinstance(value, type) and value.__module__ == module:
        yield ("class", value.__qualname__, [base.__qualname__ for base in value.__mro__])
        for key, member in sorted(vars(value).items()):
            if isinstance(member, (types.FunctionType, property)):
                yield key
                yield from _essence(member.fget if isinstance(member, property) else member, module)
            elif key in {"_fields", "_field_defaults"}:
                yield (key, repr(member))
    elif isinstance(value, np.ndarray):
        yield ("array", value.dtype.str, value.shape, value.tobytes())
    elif isinstance(value, types.ModuleType):
        yield ("module", value.__name__)
    else:
        yield (type(value).__qualname__, repr(value) if value is not _ABSENT else "absent")


def _digest(essence: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr(essence).encode()).hexdigest()[:16]
