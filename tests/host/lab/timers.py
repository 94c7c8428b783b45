"""A timer of ours that does not make a test wait for the next hour."""

from __future__ import annotations

from .host import Host

AT_ONCE = "[Timer]\nOnCalendar=\nOnActiveSec=500ms\nRandomizedDelaySec=0\nAccuracySec=50ms\nPersistent=no\n"


def ended(host: Host, kind: str) -> tuple[str, str]:
    """Result and exit code of ``prometheus-KIND.service``."""
    shown = host.do("systemctl", "show", f"prometheus-{kind}.service", "-p", "Result", "-p", "ExecMainStatus")
    facts = dict(line.split("=", 1) for line in shown.splitlines())
    return facts["Result"], facts["ExecMainStatus"]


def said(host: Host, kind: str) -> str:
    """The last that its service said."""
    return host.do("journalctl", "-u", f"prometheus-{kind}.service", "-o", "cat", "-n", "20", "--no-pager")


def let_it_fire(host: Host, kind: str) -> None:
    """Start ``prometheus-KIND.timer`` and wait until it has started its service and that has ended.

    Raises:
        AssertionError: when it starts nothing.
    """
    timer, place = f"prometheus-{kind}.timer", f"/run/systemd/system/prometheus-{kind}.timer.d"
    shown = f"systemctl show prometheus-{kind}.service --value -p"
    host.shell(f"mkdir -p {place}; cat >{place}/test.conf <<'EOT'\n{AT_ONCE}EOT\nsystemctl daemon-reload")
    before = host.shell(f"{shown} InvocationID").strip()
    try:
        host.do("systemctl", "start", timer)
        after = host.shell(
            f'for i in $(seq 300); do [ "$({shown} InvocationID)" != "{before}" ] && break; sleep 0.1; done\n'
            f'while case "$({shown} ActiveState)" in active|activating) ;; *) false;; esac; do sleep 0.1; done\n'
            f"{shown} InvocationID"
        ).strip()
        assert after != before, f"{timer} started nothing"
    finally:
        host.do("systemctl", "stop", timer)
        host.shell(f"rm -r {place}; systemctl daemon-reload")
