"""The lab's package mirror: a folder over HTTP. argv: port, folder."""  # noqa: INP001 -- runs on a host

import functools
import socket
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import BinaryIO


class Mirror(SimpleHTTPRequestHandler):
    """Files as they are now: a change within the second of the last one must not read as none."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer as if nobody had a copy."""
        del self.headers["If-Modified-Since"]
        return super().send_head()


class Server(ThreadingHTTPServer):
    """Both families."""

    address_family = socket.AF_INET6


if __name__ == "__main__":
    port, folder = sys.argv[1:]
    Server(("::", int(port)), functools.partial(Mirror, directory=folder)).serve_forever()
