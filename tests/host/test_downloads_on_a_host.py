"""The unit that fetches history, on a real host: from a server on its loopback, in its own sandbox."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from lab.drop_in import instead
from lab.host import Host

UNIT = "prometheus-download@drill.service"
OWN = "/var/lib/prometheus-quant-download"
FOLDER = f"{OWN}/binance-spot-BTCUSDT-1h"
DAYS = ("2024-01-01", "2024-01-02")
WORDS = ("binance", "BTCUSDT", "1h", "--from", "2024-01-01", "--to", "2024-01-03", "--address", "http://127.0.0.1:8127")


def day_file(day: str) -> bytes:
    """A day of the archive: 24 rows of twelve columns in a zip file."""
    first = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    opens = [(first + 3600 * k) * 1000 for k in range(24)]
    rows = [f"{one},100,102,99,{100 + k % 2},5,{one + 3_599_999},502,9,2,200,0" for k, one in enumerate(opens)]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"BTCUSDT-1h-{day}.csv", "\n".join([*rows, ""]))
    return made.getvalue()


def serve(host: Host) -> None:
    words = ("python3", "-m", "http.server", "8127", "--bind", "127.0.0.1", "--directory", "/srv/archive")
    host.do("systemd-run", "--unit=archive", "--quiet", *words)
    host.do("bash", "-c", "until (echo > /dev/tcp/127.0.0.1/8127) 2>/dev/null; do sleep 0.1; done")


@pytest.fixture(scope="module")
def served(installed: Host):
    """A host with an archive of two days on its loopback, and a download of them that an operator has named."""
    host = installed
    for day in DAYS:
        place = host.inside(f"/srv/archive/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(day_file(day))
        text = f"{hashlib.sha256(place.read_bytes()).hexdigest()}  {place.name}\n"
        place.with_name(f"{place.name}.CHECKSUM").write_text(text)
    serve(host)
    host.write("/etc/prometheus-quant/downloads/drill.env", f"PQ_DOWNLOAD={' '.join(WORDS)}\n")
    yield host
    host.do("systemctl", "stop", "archive.service")
    host.inside("/etc/prometheus-quant/downloads/drill.env").unlink()
    host.do("rm", "-rf", FOLDER)


def fetched(host: Host) -> list[str]:
    names = [place.name for place in host.inside(FOLDER).iterdir()]
    return sorted(name for name in names if name.endswith(".zip"))


def test_the_unit_fetches_for_everybody_to_read_and_a_second_start_goes_on(served):
    served.do("systemctl", "start", UNIT)
    assert fetched(served) == [f"BTCUSDT-1h-{day}.zip" for day in DAYS]
    owner = served.user_id("prometheus-download")
    for place in served.inside(FOLDER).rglob("*"):
        assert (place.stat().st_uid, place.stat().st_mode & 0o044) == (owner, 0o044), place
    for place in served.inside(FOLDER).glob("BTCUSDT-1h-2024-01-02.zip*"):
        place.unlink()
    served.do("systemctl", "start", UNIT)
    assert fetched(served) == [f"BTCUSDT-1h-{day}.zip" for day in DAYS]


def test_root_by_hand_goes_on_as_the_units_user(served):
    served.do("rm", "-rf", FOLDER)
    said = json.loads(served.do("prometheus-quant", "market", "download", *WORDS, "--json"))
    assert (said["fetched"], said["folder"]) == (2, FOLDER)
    owner = served.user_id("prometheus-download")
    assert {place.stat().st_uid for place in served.inside(FOLDER).iterdir()} == {owner}
    served.do("systemctl", "start", UNIT)


def test_a_download_that_fails_leaves_its_unit_failed_with_one_line(served):
    served.do("rm", "-rf", FOLDER)
    served.do("systemctl", "stop", "archive.service")
    try:
        assert served.ask("systemctl", "start", UNIT).returncode != 0
        shown = served.do("systemctl", "show", UNIT, "--value", "-p", "ExecMainStatus").strip()
        said = served.do("journalctl", "-u", UNIT, "-o", "cat", "-n", "20", "--no-pager")
        assert shown == "69", said
        assert "the connection was refused (5 tries)" in said
        assert "Traceback" not in said
    finally:
        served.ask("systemctl", "reset-failed", UNIT)
        serve(served)


def test_a_download_that_nobody_named_does_not_start(served):
    assert served.ask("systemctl", "start", "prometheus-download@unnamed.service").returncode != 0


@pytest.mark.parametrize(
    "place",
    ["/var/lib/prometheus-quant/state", "/var/lib/prometheus-quant/market", "/etc/prometheus-quant", "/usr",
     "/var/lib/prometheus-quant-witness", "/var/lib/prometheus-quant-metrics", "/var/log"],
)  # fmt: skip
def test_its_unit_can_write_neither_evidence_nor_configuration(served, place):
    with instead(served, UNIT, f"/usr/bin/touch {place}/written"):
        assert served.ask("systemctl", "start", UNIT).returncode != 0
    assert not served.inside(f"{place}/written").exists()


@pytest.mark.parametrize("place", ["/var/lib/prometheus-quant/state", "/etc/prometheus-quant/credentials"])
def test_its_unit_sees_no_evidence_and_no_credential(served, place):
    with instead(served, UNIT, f"/usr/bin/ls {place}"):
        assert served.ask("systemctl", "start", UNIT).returncode != 0
    with instead(served, UNIT, f"/usr/bin/ls {OWN}"):
        served.do("systemctl", "start", UNIT)


def test_the_image_imports_what_was_fetched_and_cannot_write_there(served, host):
    served.do("systemctl", "start", UNIT)
    said = json.loads(host.do("prometheus-quant", "market", "import", FOLDER, "drill_1h", "--json"))
    assert (said["rows"], said["symbol"]) == (48, "BTCUSDT")
    assert any("downloaded: http://127.0.0.1:8127/data/spot/daily/" in one for one in said["decisions"])
    assert list(served.inside(FOLDER).glob("*.aside")) == []
