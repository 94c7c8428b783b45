"""What tests of alerts ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ops.alerts.notify_house import House, credential_text
from tests.unit.ops.alerts.sink import Sink


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    sink = Sink(tmp_path_factory.mktemp("sink"))
    yield sink
    sink.close()


@pytest.fixture
def sink(server):
    server.heard.clear()
    server.mode = "ok"
    return server


@pytest.fixture
def credential(sink, tmp_path) -> Path:
    place = tmp_path / "notify.toml"
    place.write_text(credential_text(sink))
    place.chmod(0o600)
    return place


@pytest.fixture
def house(tmp_path, credential, fake_clock):
    """Looks, with what each said to the journal of its unit."""
    return House(tmp_path, credential, fake_clock)
