"""A tree that looks like an installation to whoever lists it, and the command line in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.paths import Layout

Asked = tuple[int, str, str]


@pytest.fixture
def ask(capsys) -> Callable[..., Asked]:
    """Run a command line: code, standard output, standard error."""

    def run(*words: object) -> Asked:
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An installation without a run."""
    made = Layout.under(tmp_path / "root")
    made.prepare()
    return made


@pytest.fixture
def put(layout: Layout) -> Callable[..., Path]:
    """Make the directory of a run, with a manifest that says what is given."""

    def make(run_id: str, **said: object) -> Path:
        tier = Tier.TIER2_FULL if run_id.startswith(("PROMOTE", "AUDIT")) else Tier.TIER1_HF
        place = layout.runs(tier) / run_id
        place.mkdir()
        (place / "run_manifest.json").write_text(json.dumps({"run_id": run_id, **said}))
        return place

    return make
