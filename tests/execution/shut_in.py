"""Runs a command in a network of its own that has only the loopback, and says who was asked for and who was reached.

    python -m tests.execution.shut_in FOLDER COMMAND...      as root, within `unshare --net --mount`

Every name resolves, by a DNS server of ours, to one address on which a false exchange listens. A sniffer sees every
packet. Prints one JSON object: the command's code and words, the names that were asked for, where packets went, and
what the false exchange was sent.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

FALSE_SITE = "127.0.0.66"
DNS, HTTPS = 53, 443
EVERY_PROTOCOL, IPV4, IPV6, TCP, UDP = 3, 0x0800, 0x86DD, 6, 17
OUTGOING = 4


def name_in(query: bytes) -> str:
    """The name that a DNS query asks for."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels)


def answered(query: bytes) -> bytes:
    """An answer with the false site's address; none for a query of another type than A."""
    end = query.index(b"\0", 12) + 5
    wanted = struct.unpack(">H", query[end - 4 : end - 2])[0] == 1
    head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(wanted), 0, 0) + query[12:end]
    if not wanted:
        return head
    return head + struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(FALSE_SITE)


def destination(packet: bytes) -> str | None:
    """Where an IP packet goes: protocol, address and port."""
    if packet[0] >> 4 == 4:
        size, protocol, address = (packet[0] & 15) * 4, packet[9], socket.inet_ntoa(packet[16:20])
    else:
        size, protocol, address = 40, packet[6], socket.inet_ntop(socket.AF_INET6, packet[24:40])
    if protocol not in {TCP, UDP}:
        return f"protocol {protocol} {address}"
    return f"{'tcp' if protocol == TCP else 'udp'} {address} {struct.unpack('>H', packet[size + 2 : size + 4])[0]}"


class Seen:
    """What was asked for, reached and sent."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.reached: set[str] = set()
        self.opened: set[str] = set()
        self.sent = b""

    def resolve(self, server: socket.socket) -> None:
        while True:
            query, who = server.recvfrom(512)
            self.names.append(name_in(query))
            server.sendto(answered(query), who)

    def listen(self, server: socket.socket) -> None:
        while True:
            talk, _ = server.accept()
            with talk:
                self.sent += talk.recv(1 << 16)

    def sniff(self, wire: socket.socket) -> None:
        while True:
            packet, (_, protocol, kind, *_) = wire.recvfrom(1 << 16)
            if kind != OUTGOING or protocol not in {IPV4, IPV6}:
                continue
            where = destination(packet)
            self.reached.add(str(where))
            if where is not None and where.startswith("tcp") and packet[(packet[0] & 15) * 4 + 13] & 0x12 == 0x02:
                self.opened.add(where)  # the first packet of a connection


def main(folder: Path, command: list[str]) -> None:
    """Prepare the network, run the command, print what was seen."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("hosts", "127.0.0.1 localhost\n")):
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", str(folder / name), f"/etc/{name}"], check=True)
    seen = Seen()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERY_PROTOCOL))
    resolver, site = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.create_server((FALSE_SITE, HTTPS))
    resolver.bind(("127.0.0.1", DNS))
    for work, on in ((seen.sniff, wire), (seen.resolve, resolver), (seen.listen, site)):
        threading.Thread(target=work, args=(on,), daemon=True).start()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    print(json.dumps({  # noqa: T201 - it is what this program is for
        "code": ended.returncode, "out": ended.stdout, "err": ended.stderr, "names": sorted(set(seen.names)),
        "opened": sorted(seen.opened), "reached": sorted(seen.reached), "sent": seen.sent.hex(),
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
