"""Parts of rendered files, for whoever says what they mean."""

from __future__ import annotations

import re

BIRD = "/etc/bird/bird.conf"
HAPROXY = "/etc/haproxy/haproxy.cfg"
NFT = "/etc/loopback/nftables.conf"
WATCH = "/etc/loopback/watch.json"


def text(rendered, host, path):
    return rendered[host].files[path].text


def session(bird, name):
    """Body of one BGP session."""
    return re.search(rf"^protocol bgp {name} {{\n(.*?)^}}", bird, re.MULTILINE | re.DOTALL)[1]


def export(bird, name):
    """Body of one export filter."""
    return re.search(rf"^filter to_{name} {{\n(.*?)^}}", bird, re.MULTILINE | re.DOTALL)[1]


def servers(haproxy, backend):
    """Lines of one backend's servers by worker."""
    body = re.search(rf"^backend {re.escape(backend)}\n((?:  .*\n)*)", haproxy, re.MULTILINE)[1]
    return {line.split()[1]: line for line in body.splitlines() if line.startswith("  server")}
