"""Asks name servers at a steady rate from inside a namespace, whatever becomes of the answers.

stdin   one line {"servers": [address], "name", "type", "rate": questions a second to each}
stdout  one line when it begins; after SIGTERM one line of JSON, a list of
        [began in ns of the monotonic clock, server, NSID, rcode, signed], in order; of a question
        without an answer the NSID is empty and the rcode says why
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import Any

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

PATIENCE_S = 10.0  # a busy machine is late; what was lost on its way never comes


async def ask(wanted: dict[str, Any], server: str, found: list[Any]) -> None:
    options = [dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")]
    query = dns.message.make_query(
        wanted["name"], wanted["type"], want_dnssec=True, options=options
    )
    began_ns = time.monotonic_ns()
    try:
        told = await dns.asyncquery.udp(query, server, timeout=PATIENCE_S)
    except (dns.exception.DNSException, OSError) as silent:
        found.append([began_ns, server, "", type(silent).__name__, False])
        return
    nsid = [o.nsid.decode() for o in told.options if o.otype == dns.edns.OptionType.NSID]
    signed = any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in told.answer)
    rcode = dns.rcode.to_text(told.rcode())
    found.append([began_ns, server, nsid[0] if nsid else "", rcode, signed])


async def main() -> None:
    wanted, found, under_way = json.loads(sys.stdin.readline()), [], set()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    sys.stdout.write("asking\n")
    sys.stdout.flush()
    due = time.monotonic()
    while not ended.is_set():
        for server in wanted["servers"]:
            task = asyncio.create_task(ask(wanted, server, found))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        due += 1 / wanted["rate"]
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await asyncio.gather(*under_way)
    sys.stdout.write(json.dumps(sorted(found)) + "\n")


asyncio.run(main())
