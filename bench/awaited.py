"""Asks servers for one A record until each has it with its signature; stdin and stdout, by line.

In   {"servers": [address], "name", "text"}
Out  [when each had it, in ns of the real-time clock], in the order of the servers
"""

from __future__ import annotations

import json
import sys
import time

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

PAUSE_S = 0.01  # name servers limit answers to one client


def has(server: str, name: str, text: str) -> bool:
    query = dns.message.make_query(name, "A", want_dnssec=True)
    try:
        told = dns.query.udp(query, server, timeout=0.5)
    except (OSError, dns.exception.DNSException):
        return False
    said = {rrset.rdtype: rrset for rrset in told.answer}
    a = said.get(dns.rdatatype.A)
    return a is not None and dns.rdatatype.RRSIG in said and {str(one) for one in a} == {text}


for line in sys.stdin:
    wanted = json.loads(line)
    when: dict[str, int] = {}
    while len(when) < len(wanted["servers"]):
        for server in wanted["servers"]:
            if server not in when and has(server, wanted["name"], wanted["text"]):
                when[server] = time.time_ns()
        time.sleep(PAUSE_S)
    sys.stdout.write(json.dumps([when[server] for server in wanted["servers"]]) + "\n")
    sys.stdout.flush()
