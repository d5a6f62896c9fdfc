"""The demonstration's web application: who answered whom."""  # noqa: INP001 -- runs on a host

import itertools
import json
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINE_EVERY_S = 0.1


class Answer(BaseHTTPRequestHandler):
    """Every path gets the same JSON; /stream repeats it until the client goes away, or as often as
    /stream?lines=N says.
    """

    protocol_version = "HTTP/1.1"
    # head and body are two writes: without this the second waits for an acknowledgement
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        seen = {
            "worker": socket.gethostname(),
            "client": self.headers.get("X-Client-Address", ""),
            "port": int(self.headers.get("X-Client-Port") or 0),
            "pop": self.headers.get("X-Pop") or None,
        }
        line = json.dumps(seen).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.path.startswith("/stream"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.stream(line, int(self.path.partition("?lines=")[2] or 0))
            return
        self.send_header("Content-Length", str(len(line)))
        self.end_headers()
        self.wfile.write(line)

    def stream(self, line: bytes, lines: int) -> None:
        chunk = b"%x\r\n%s\r\n" % (len(line), line)
        try:
            for _ in range(lines) if lines else itertools.repeat(None):
                self.wfile.write(chunk)
                time.sleep(LINE_EVERY_S)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as in http.server
        """HAProxy in front writes the access log."""


class Server(ThreadingHTTPServer):
    """A thread per connection; HAProxy keeps few of them open."""

    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    Server(("127.0.0.1", 8080), Answer).serve_forever()
