"""Small ends of packets for firewall tests, run inside a namespace.

hear ADDRESS PORT KIND           answers every datagram, or every connection
reach ADDRESS PORT KIND SOURCE SOURCE_PORT SECONDS
                                 prints heard, silent for so long, refused or forbidden
talk  ADDRESS PORT tcp SOURCE    one connection: reads lines of seconds, prints after each whether
                                 it was echoed within them
"""

from __future__ import annotations

import socket
import sys
import threading

IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75


def opened(address: str, kind: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # a source that is not ours, as a spoofing process would use it
    made.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    return made


def echo(connection: socket.socket) -> None:
    with connection:
        while part := connection.recv(100):
            connection.sendall(part)


def hear(address: str, port: int, kind: str) -> None:
    with opened(address, kind) as ear:
        ear.bind((address, port))
        if kind == "tcp":
            ear.listen()
        while True:
            if kind == "tcp":
                threading.Thread(target=echo, args=(ear.accept()[0],), daemon=True).start()
            else:
                _, sender = ear.recvfrom(100)
                ear.sendto(b"heard", sender)


def reach(address: str, port: int, kind: str, source: tuple[str, int], patience_s: float) -> str:
    with opened(address, kind) as mouth:
        mouth.settimeout(patience_s)
        mouth.bind(source)
        try:
            mouth.connect((address, port))
            if kind == "udp":
                mouth.send(b"hello")
                mouth.recv(100)
        except TimeoutError:
            return "silent"
        except ConnectionRefusedError:
            return "refused"
        except PermissionError:
            return "forbidden"
        return "heard"


def talk(address: str, port: int, source: str) -> None:
    with opened(address, "tcp") as mouth:
        mouth.bind((source, 0))
        mouth.connect((address, port))
        for line in sys.stdin:
            mouth.settimeout(float(line))
            try:
                mouth.sendall(b"hello")
                mouth.recv(100)
                print("heard", flush=True)  # noqa: T201  # its output is its answer
            except TimeoutError:
                print("silent", flush=True)  # noqa: T201  # likewise


if __name__ == "__main__":
    verb, where, number, how, *rest = sys.argv[1:]
    if verb == "hear":
        hear(where, int(number), how)
    elif verb == "talk":
        talk(where, int(number), rest[0])
    else:
        source, port, patience_s = rest
        print(reach(where, int(number), how, (source, int(port)), float(patience_s)))  # noqa: T201  # its output is its answer
