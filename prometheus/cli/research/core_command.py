"""``core lock|check``: the core does not change behind anybody's back (contracts, section 9)."""

from __future__ import annotations

from prometheus.cli.options import AsJson, examples, group
from prometheus.cli.report import Report
from prometheus.v10.runs.workers.invariance import LOCK, check_core, core_files, write_lock


def check() -> Report:
    """Compare CORE.lock, the files and what is loaded in memory; errors as `check_core`."""
    found = check_core()
    data = {"core_hash": found, "files": len(core_files()), "lock": str(LOCK)}
    return Report(data, [f"the core is the locked one: {found} ({data['files']} files)"])


def lock() -> Report:
    """Write CORE.lock from the files as they are."""
    made = write_lock()
    data = {"core_hash": made, "files": len(core_files()), "lock": str(LOCK)}
    return Report(data, [f"{LOCK} written: {made}", "say in docs/adr/ why the core changed"])


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("CORE.lock: the hashes of the world's code.")


@app.command("check", epilog=examples("core check"))
def check_command(*, as_json: AsJson = False) -> Report:
    """Compare CORE.lock with the files, and the files with what is loaded."""
    return check().asked(as_json=as_json)


@app.command("lock", epilog=examples("core lock"))
def lock_command(*, as_json: AsJson = False) -> Report:
    """Write CORE.lock from the files as they are."""
    return lock().asked(as_json=as_json)
