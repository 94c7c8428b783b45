"""Imported by the fork server, once, before it forks workers: the import itself does the work (see `warm`)."""

from prometheus.v10.base.extras import hide_scipy

hide_scipy()

from prometheus.v10.runs.workers.warm import warm_up  # noqa: E402

warm_up()
