"""Copy the sources that a package or an image is built from, and name them by what was copied.

    containers/source_state.py ROOT OUT NAME...      NAME is a file or directory of the checkout ROOT

Prints ``commit=`` (empty when none is known) and ``dirty=``. ``dirty=false`` means that every file below OUT has the
content and mode that the commit gives it, nothing is missing, and nothing else is there. Standard library only.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

PROVENANCE = Path(__file__).resolve().parent.parent / "prometheus/v10/base/provenance.py"


def provenance() -> ModuleType:
    """The module of the package, loaded by its place: building needs none of the package's dependencies."""
    spec = importlib.util.spec_from_file_location("provenance", PROVENANCE)
    assert spec is not None  # noqa: S101  (a .py file always has one)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Copy, compare, print; returns the exit code."""
    if len(sys.argv) < 4:
        sys.stderr.write("usage: source_state.py ROOT OUT NAME...\n")
        return 64
    sys.dont_write_bytecode = True
    module = provenance()
    root, out, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    folders = [name for name in wanted if (root / name).is_dir()]
    state = module.tree_state(root, under=folders)
    expected = {name: said for name, said in state.files.items() if name in wanted or name.split("/")[0] in wanted}
    there = set(module.present(root, folders)) | {name for name in wanted if (root / name).is_file()}
    for name in sorted(there):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_symlink() or (root / name).is_file():
            shutil.copy2(root / name, out / name, follow_symlinks=False)
    dirty = state.dirty or set(module.present(out, folders)) | (there - set(module.present(root, folders))) != set(
        expected
    )
    dirty = dirty or any(module.changed(out, expected))
    sys.stdout.write(f"commit={state.commit or ''}\ndirty={str(dirty).lower()}\n")
    for name in state.differing[:10]:
        sys.stderr.write(f"differs from the commit: {name!r}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
