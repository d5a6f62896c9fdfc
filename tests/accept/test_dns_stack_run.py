"""stacks/dns, as its example declares it, on real daemons below a root: Unbound validates it.

The files are those of the program's own plan. Root, `net` and `org` stand on one Knot, which signs
each; DS are carried by hand, as `loopback-agent report` shows them to who goes to a registrar. The
zone of updates stays empty: only an agent gives it its top (test_updates_run.py).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from loopback_iac.engine import Options, plan
from loopback_iac.lab.names.machine import Machine
from loopback_iac.lab.names.space import cable, namespaces
from loopback_iac.render import File, HostFiles
from tests.accept.network import wait_for

STACK = Path(__file__).parents[2] / "stacks/dns"
ROOT, RESOLVER = "198.18.250.54", "198.18.250.60"
ADDRESSES = {"primary": "203.0.113.53", "fra1": "198.51.100.53", "par1": "192.0.2.53"}
SERVED = {"ns1.example.net.": ADDRESSES["fra1"], "ns2.example.org.": ADDRESSES["par1"]}
NS = [f"NS {name}" for name in SERVED]
ABOVE = {".": ["net.", "org."], "net.": ["example.net."], "org.": ["example.org."]}
KNOT = f"""\
server:
    listen: {ROOT}@53
policy:
  - id: p
    algorithm: ecdsap256sha256
    cds-cdnskey-publish: none
template:
  - id: default
    storage: /etc/loopback/zones
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    dnssec-policy: p
zone:
"""
UNBOUND = f"""\
server:
    interface: {RESOLVER}
    access-control: 0.0.0.0/0 allow
    outgoing-interface: {RESOLVER}
    do-ip6: no
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    module-config: "validator iterator"
    trust-anchor-file: /etc/unbound/root.key
    root-hints: /etc/unbound/root.hints
    do-not-query-localhost: no
    local-zone: "." transparent
    qname-minimisation: no
"""


def planned(folder):
    """Files by host and path, as the program declares them."""
    example = STACK / "Pulumi.example.yaml"
    result = plan(Options(directory=STACK, stack="example", config_file=example, state_dir=folder))
    assert result.ok, result.diagnostics
    found = {}
    for change in result.changes:
        told = {part.path: part.new for part in change.outputs}
        if "files" in told:
            files = {path: File(text) for path, text in told["files"].items()}
            found[told["host_name"]] = HostFiles(files, ())
    return found


def link(one, other, own, theirs):
    """A cable, and the way to each other's address."""
    cable(one.space, other.name, other.space, one.name)
    for here, there, address in ((one, other, theirs), (other, one, own)):
        here.space.ip(f"route add {address} dev {there.name} src {here.address}")


def zone_file(zone):
    lines = ["@ 60 SOA root. root. 1 600 300 604800 60", "@ 60 NS root."]
    if zone == ".":
        lines.append(f"root. 60 A {ROOT}")
    for child in ABOVE[zone]:
        servers = ["NS root."] if child in ABOVE else NS
        lines += [f"{child} 60 {server}" for server in servers]
    glue = [f"{name} 60 A {at}" for name, at in SERVED.items() if zone in {"net.", "org."}]
    lines += [line for line in glue if line.split(".")[2].startswith(zone.rstrip("."))]
    return "".join(f"{line}\n" for line in lines)


def carry_ds(parent, zone, machine, child):
    """What a registrar does with the DS that somebody brings it."""
    lines = machine.run("keymgr", child, "ds").stdout.splitlines()
    texts = [line.split(" DS ", 1)[1] for line in lines if line.split()[-2] == "2"]
    assert texts, lines
    for words in (
        ["zone-begin", zone],
        *(["zone-set", zone, child, "60", "DS", *text.split()] for text in texts),
        ["zone-commit", zone],
    ):
        done = parent.knotc(*words)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stack(image, tmp_path_factory):
    ground = tmp_path_factory.mktemp("stack")
    files = planned(ground / "state")
    assert set(files) == set(ADDRESSES)
    with namespaces(*ADDRESSES, "root", "resolver") as spaces:
        named = dict(zip([*ADDRESSES, "root", "resolver"], spaces, strict=True))
        at = {**ADDRESSES, "root": ROOT, "resolver": RESOLVER}
        made = {n: Machine(n, space, ground / n, image, at[n]) for n, space in named.items()}
        for name, machine in made.items():
            machine.space.ip(f"addr add {at[name]}/32 dev lo")
            machine.prepare()
            if name in files:
                machine.put(files[name])
        for name in ("fra1", "par1"):
            link(made["primary"], made[name], ADDRESSES["primary"], ADDRESSES[name])
            link(made["resolver"], made[name], RESOLVER, ADDRESSES[name])
        link(made["resolver"], made["root"], RESOLVER, ROOT)
        start(made)
        yield made


def start(made):
    root, primary = made["root"], made["primary"]
    zones = "".join(f"  - domain: {zone}\n    file: z{zone}zone\n" for zone in ABOVE)
    (root.ground / "etc/knot/knot.conf").write_text(KNOT + zones)
    (root.ground / "etc/loopback/zones").mkdir()
    for zone in ABOVE:
        (root.ground / f"etc/loopback/zones/z{zone}zone").write_text(zone_file(zone))
    for name in ("root", *ADDRESSES):
        made[name].start()
    for zone in ABOVE:
        wait_for(partial(lambda z: root.answer(z, "DNSKEY") != [], zone))
    for name in ADDRESSES:
        for zone in ("example.net.", "example.org."):
            wait_for(partial(lambda m, z: m.answer(z, "DNSKEY") != [], made[name], zone))
    for zone in ("net.", "org."):
        carry_ds(root, ".", root, zone)
        carry_ds(root, zone, primary, f"example.{zone}")
    resolver = made["resolver"]
    folder = resolver.ground / "etc/unbound"
    folder.mkdir(parents=True)
    resolver.mounts.append(f"mount --bind {folder} {resolver.image.root}/etc/unbound")
    keys = root.ask(".", "DNSKEY")["answer"]
    anchors = [line for line in keys if " DNSKEY 257 " in line]
    assert anchors
    (folder / "root.key").write_text("".join(f"{line}\n" for line in anchors))
    (folder / "root.hints").write_text(f". 60 NS root.\nroot. 60 A {ROOT}\n")
    (folder / "unbound.conf").write_text(UNBOUND)
    words = resolver.words("unbound", "-d", "-c", "/etc/unbound/unbound.conf")
    resolver.daemon = resolver.space.start_daemon(resolver.ground / "log", *words)
    wait_for(lambda: told(made, "www.example.net.", "A")["rcode"] == "NOERROR")


def told(made, name, kind):
    """What the resolver says, and whether it found it true."""
    said = made["resolver"].ask(name, kind)
    data = [line.split(" ", 4)[4] for line in said.get("answer", []) if line.split(" ")[3] == kind]
    return {"rcode": said.get("rcode", "none"), "ad": said.get("ad", False), "data": data}


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("www.example.net.", "A", ("NOERROR", True, ["203.0.113.10"])),
        ("mail.example.net.", "A", ("NOERROR", True, ["203.0.113.25"])),
        ("ns2.example.org.", "A", ("NOERROR", True, ["192.0.2.53"])),
        ("nothing.example.net.", "A", ("NXDOMAIN", True, [])),
        ("www.example.net.", "AAAA", ("NOERROR", True, [])),
    ],
)
def test_a_resolver_follows_the_chain_from_the_root_to_what_the_stack_declares(
    stack, name, kind, expected
):
    # a resolver says SERVFAIL of servers that were late, and asks them again
    wait_for(lambda: told(stack, name, kind)["rcode"] != "SERVFAIL")
    found = told(stack, name, kind)
    assert (found["rcode"], found["ad"], found["data"]) == expected


def test_either_name_server_alone_carries_both_zones(stack):
    for lost, left in (("fra1", "par1"), ("par1", "fra1")):
        stack[lost].space.ip(f"route replace blackhole {RESOLVER}")
        try:
            for name in (f"only-{left}.example.net.", f"only-{left}.example.org."):
                wait_for(partial(lambda n: told(stack, n, "A")["rcode"] == "NXDOMAIN", name))
                assert told(stack, name, "A")["ad"]
        finally:
            stack[lost].space.ip(f"route del blackhole {RESOLVER}")
            stack[lost].space.ip(f"route replace {RESOLVER} dev resolver src {ADDRESSES[lost]}")


def test_a_ds_of_another_key_makes_the_zone_bogus(stack):
    """The resolver does judge: what it took for true before is refused now."""
    root = stack["root"]
    wrong = f"12345 13 2 {'ab' * 32}"
    for words in (
        ["zone-begin", "org."],
        ["zone-unset", "org.", "example.org.", "DS"],
        ["zone-set", "org.", "example.org.", "60", "DS", *wrong.split()],
        ["zone-commit", "org."],
    ):
        done = root.knotc(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    resolver = stack["resolver"]
    resolver.stop()
    words = resolver.words("unbound", "-d", "-c", "/etc/unbound/unbound.conf")
    resolver.daemon = resolver.space.start_daemon(resolver.ground / "log", *words)
    wait_for(lambda: told(stack, "www.example.net.", "A")["ad"])
    assert told(stack, "ns2.example.org.", "A")["rcode"] == "SERVFAIL"
