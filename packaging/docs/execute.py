"""Execute a notebook and write it, with what came out, to another place: execute.py NOTEBOOK OUT."""

from __future__ import annotations

import sys

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

SECONDS_A_CELL = 300

if __name__ == "__main__":
    place, out = sys.argv[1:]
    notebook = nbformat.read(place, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")  # no port, not even on the loopback
    NotebookClient(notebook, km=manager, timeout=SECONDS_A_CELL).execute()
    nbformat.write(notebook, out)
