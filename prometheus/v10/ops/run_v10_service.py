"""The long-lived service's program: `prometheus.v10.ops.service.serving`, in an interpreter of its own.

    python -m prometheus.v10.ops.run_v10_service --mode offline --stage stage1 --instance HF [--root DIR]

In this order: an isolated interpreter, ears for signals, a server of workers that loads the world's code meanwhile, and
the custodian that writes for this process. Only then is the service itself imported.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything else is imported
    from prometheus.v10.base.isolation import isolate

    isolate("prometheus.v10.ops.run_v10_service")
    from prometheus.v10.base.early import listen

    listen()
    import sys as _sys

    from prometheus.v10.base.custody import entrust
    from prometheus.v10.runs.workers.fork_server import start_early

    start_early("prometheus.v10.ops.service.serving")
    entrust(_sys.argv[1:])

from prometheus.v10.ops.service.serving import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
