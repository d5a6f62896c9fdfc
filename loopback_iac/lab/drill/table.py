"""Fills a host's connection table with datagrams that nobody answers.

Runs as `python -m loopback_iac.lab.drill.table` in the host's network namespace, datagrams go over
its loopback interface only. stdout: one line of JSON, how many connections were tracked of how many
that may be. They expire by themselves.
"""

from __future__ import annotations

import json
import os
import socket
from itertools import product
from pathlib import Path

COUNT, MAX = (Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}") for name in ("count", "max"))
ADDRESSES = tuple(f"127.0.0.{n}" for n in range(1, 11))
PORTS = range(1, 65536)
LOOK_EVERY = 4096


def main() -> None:
    """Send until the table is full, or until every address and port had one."""
    os.nice(19)  # the full table is to be felt, not the filling of it
    limit = int(MAX.read_text())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        for sent, target in enumerate(product(ADDRESSES, PORTS)):
            door.sendto(b"", target)
            if sent % LOOK_EVERY == 0 and int(COUNT.read_text()) >= limit - 1:
                break
    print(json.dumps({"tracked": int(COUNT.read_text()), "limit": limit}))  # noqa: T201 - protocol


if __name__ == "__main__":
    main()
