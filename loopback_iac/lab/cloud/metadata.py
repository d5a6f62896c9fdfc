"""A cloud's metadata service: who asks is told by the address it asks from. Runs by itself.

In: argv: the cloud's book. Listens where the cloud's router has 169.254.169.254.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS = "169.254.169.254"


class Answer(BaseHTTPRequestHandler):
    """GET of one path: text of the server that asks, or 404."""

    def do_GET(self) -> None:
        """Look into the book anew each time: servers come and go."""
        book = json.loads(Path(sys.argv[1]).read_text())
        text = find_text(book, self.client_address[0], self.path)
        self.send_response(404 if text is None else 200)
        body = (text or "").encode()
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads a log of this."""


def find_text(book: dict[str, dict[str, dict[str, object]]], client: str, path: str) -> str | None:
    """
    What a server finds under a path.

    Out: None when there is no such server or path.
    """
    for machine in book["machines"].values():
        ports = machine["ports"]
        listed = ports if isinstance(ports, list) else []
        if client in {str(port["v4"]).partition("/")[0] for port in listed if not port["bridge"]}:
            served = machine["metadata"]
            found = served.get(path) if isinstance(served, dict) else None
            if found == "@user-data":
                return str(machine["user_data"])
            return None if found is None else str(found)
    return None


if __name__ == "__main__":
    ThreadingHTTPServer((ADDRESS, 80), Answer).serve_forever()
