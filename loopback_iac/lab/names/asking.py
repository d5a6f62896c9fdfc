"""Asks name servers from inside a namespace: a line of JSON in, a line of JSON out.

In   {"server", "name", "type"} and, when wanted, "tcp": true,
     "transfer": true with "key": [name, secret], or no key at all; over TLS with "tls": true
Out  {"rcode", "aa", "ad", "nsid", "answer": [text of each record], "authority": [...]}
     or {"error": kind}; a transfer gives "answer" only
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from typing import Any

import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import dns.tsigkeyring
import dns.xfr
import dns.zone

PATIENCE_S = 10.0


def ask(wanted: dict[str, Any]) -> dict[str, Any]:
    """One question."""
    options: list[dns.edns.Option] = [dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")]
    query = dns.message.make_query(
        wanted["name"], wanted["type"], want_dnssec=True, options=options
    )
    told = (send_tcp if wanted.get("tcp") else send_udp)(query, wanted["server"])
    nsid = [o.nsid.decode() for o in told.options if o.otype == dns.edns.OptionType.NSID]
    return {
        "rcode": dns.rcode.to_text(told.rcode()),
        "aa": bool(told.flags & 0x0400),
        "ad": bool(told.flags & 0x0020),
        "nsid": nsid[0] if nsid else "",
        "answer": records(told.answer),
        "authority": records(told.authority),
    }


def send_tcp(query: dns.message.Message, server: str) -> dns.message.Message:
    """Over a connection of its own."""
    return dns.query.tcp(query, server, timeout=PATIENCE_S)


def send_udp(query: dns.message.Message, server: str) -> dns.message.Message:
    """Over a connected socket, which hears at once that nobody listens."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
        line.connect((server, 53))
        return dns.query.udp(query, server, timeout=PATIENCE_S, sock=line)


def records(section: list[dns.rrset.RRset]) -> list[str]:
    """Texts of a section's records."""
    return sorted(line for rrset in section for line in rrset.to_text().splitlines())


def transfer(wanted: dict[str, Any]) -> dict[str, Any]:
    """A whole zone."""
    ring = dns.tsigkeyring.from_text(dict([wanted["key"]])) if "key" in wanted else None
    zone = dns.zone.Zone(wanted["name"])
    query, serial = dns.xfr.make_query(zone, keyring=ring)
    if wanted.get("tls"):
        transfer_by_tls(wanted["server"], zone, query, serial)
    else:
        dns.query.inbound_xfr(wanted["server"], zone, query, timeout=PATIENCE_S, lifetime=30)
    text = zone.to_text(relativize=False, want_origin=False)
    return {"answer": sorted(line for line in text.splitlines() if line)}


def transfer_by_tls(
    server: str, zone: dns.zone.Zone, query: dns.message.QueryMessage, serial: int | None
) -> None:
    """As a client that believes any certificate: what the server lets out is asked here."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["dot"])
    with (
        socket.create_connection((server, 853), PATIENCE_S) as line,
        context.wrap_socket(line) as sealed,
        dns.xfr.Inbound(zone, query.question[0].rdtype, serial) as inbound,
    ):
        wire = query.to_wire()
        sealed.sendall(len(wire).to_bytes(2) + wire)
        done, tsig = False, None
        with sealed.makefile("rb") as stream:
            while not done:
                told = dns.message.from_wire(
                    stream.read(int.from_bytes(stream.read(2))),
                    keyring=query.keyring,
                    request_mac=query.mac,
                    xfr=True,
                    origin=zone.origin,
                    tsig_ctx=tsig,
                    multi=True,
                )
                done, tsig = inbound.process_message(told), told.tsig_ctx


def main() -> None:
    """Answer lines until there are none."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            found = transfer(asked) if asked.get("transfer") else ask(asked)
        except (dns.exception.DNSException, OSError, EOFError) as refused:
            found = {"error": f"{type(refused).__name__}: {refused}"}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
