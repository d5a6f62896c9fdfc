"""The room opens no socket: neither dnspython's transports nor its resolver are loaded."""

from __future__ import annotations

import subprocess
import sys


def test_reading_zones_loads_nothing_that_talks():
    code = (
        "import sys, loopback_iac.dns as d;"
        "z = d.parse_zone_file('$TTL 60\\na HTTPS 1 . alpn=h2\\nb LOC 1 N 1 E 0m', 'example.net');"
        "d.render_octodns(z);"
        "talks = {'dns.query', 'dns.resolver', 'dns.asyncquery', 'ssl', 'pulumi', 'asyncio'};"
        "assert not talks & set(sys.modules), talks & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
