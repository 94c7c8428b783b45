"""What a service manager hears from the real process."""

from __future__ import annotations

import os
import re
import signal
import time

from tests.integration.conftest import small_profile


def listen(socket, service, until, patience=60.0):
    """Datagrams of ``service`` until ``until(heard)`` holds."""
    heard = []
    end = time.monotonic() + patience
    while not until(heard):
        assert time.monotonic() < end, f"waited in vain; heard {heard[-5:]}"
        found = socket.read(0.1)
        assert {pid for _text, pid in found} <= {service.process.pid}  # never a worker
        heard += [text for text, _pid in found]
    return heard


def watched(socket, seconds):
    return {"NOTIFY_SOCKET": str(socket.path), "WATCHDOG_USEC": str(int(seconds * 1e6))}


def test_ready_after_the_manifest_then_status_and_pings_then_stopping(tree, start, notify_socket):
    tree.write_profile(small_profile(count=400, bars=8000))
    service = start(environ=watched(notify_socket, 2.0))
    heard = listen(notify_socket, service, lambda h: "READY=1" in h)
    assert len([run for run in tree.runs() if (run / "run_manifest.json").exists()]) == 1
    heard += listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 4)
    service.signal(signal.SIGTERM)
    heard += listen(notify_socket, service, lambda h: any("sealed" in text for text in h))
    assert service.end()[0] == 0
    heard += notify_socket.datagrams()
    assert all(re.fullmatch(r"(READY|WATCHDOG|STOPPING)=1|STATUS=[^=\n]+|EXTEND_TIMEOUT_USEC=\d+", h) for h in heard)
    names = [text.partition("=")[0] for text in heard]
    assert names.count("READY") == names.count("STOPPING") == 1
    assert names.index("READY") < names.index("WATCHDOG") < names.index("STOPPING")
    assert "WATCHDOG" not in names[names.index("STOPPING") :]
    assert "EXTEND_TIMEOUT_USEC" in names[names.index("STOPPING") :]
    (run,) = tree.runs()
    sentence = rf"STATUS={run.name}: experiment \d+ of 400, tick \d+ of 8000, \d+ alive, [\d,]+ agent-ticks/s, "
    assert any(re.match(sentence, text) for text in heard)


def test_pings_go_on_between_runs(tree, start, notify_socket):
    tree.write_profile(small_profile(count=1, bars=1000, pause=600))
    service = start(environ=watched(notify_socket, 2.0))
    listen(notify_socket, service, lambda h: any("pausing" in text for text in h))
    assert listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 3)
    service.signal(signal.SIGTERM)
    assert service.end() == (0, "")


def test_workers_that_stand_still_end_the_pings_and_leave_a_stack(tree, start, notify_socket):
    tree.write_profile(small_profile(count=400, bars=8000))
    service = start(environ=watched(notify_socket, 1.5))
    listen(notify_socket, service, lambda h: h.count("WATCHDOG=1") >= 2)
    service.wait_until(lambda: len(service.children()) >= 3, "worker processes")
    halted = service.children()
    for pid in halted:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.8)  # what moved before the halt may still be told
    notify_socket.read()
    time.sleep(1.5)
    silent = [text for text in notify_socket.datagrams() if text == "WATCHDOG=1"]
    for pid in halted:
        os.kill(pid, signal.SIGCONT)
    assert silent == []
    listen(notify_socket, service, lambda h: "WATCHDOG=1" in h)  # work moves again, and so do the pings
    service.signal(signal.SIGTERM)
    code, said = service.end()
    assert code == 0
    assert "Timeout" in said
    assert "run_v10_service.py" in said
