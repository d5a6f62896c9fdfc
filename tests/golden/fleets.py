"""Any valid fleet, as Hypothesis draws it: the input a user could have written."""

from __future__ import annotations

import base64
import string
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

LATE = "late"
NAMES = "names-0"
NAMES_CIDR = {4: "198.19.53.0/24", 6: "2001:db8:153::/48"}
TAKEN = {"v4", "v6"}
LABEL = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Drawn:
    """A whole input: fleet tree, late facts of each host, public keys by host and key epoch."""

    tree: dict[str, Any]
    hosts: dict[str, Any]
    keys: dict[tuple[str, int], str]


def labels(longest: int = 12) -> st.SearchStrategy[str]:
    """DNS labels, hyphens and daemons' own words included."""
    inner = st.text(LABEL + "-", max_size=longest - 2)
    made = st.builds(
        lambda a, b, c: a + b + c, st.sampled_from(LABEL), inner, st.sampled_from(LABEL)
    )
    words = st.sampled_from(
        ["a", "bgp", "table", "drop", "default", "backend", "server", "s", "ms"]
    )
    return (made | words).filter(lambda name: name not in TAKEN)


@st.composite
def fleets(draw: st.DrawFn) -> Drawn:
    families = draw(st.sampled_from([(4,), (6,), (4, 6)]))
    names = draw(st.lists(labels(), min_size=2, max_size=8, unique=True))
    count = draw(st.integers(1, max(1, len(names) // 2)))
    pop_names, worker_names = names[:count], names[count:]
    prefixes = draw(prefix_trees(families))
    vips = draw(vip_trees(prefixes))
    full = draw(st.booleans())
    pops = {
        name: {"host": LATE, "node_id": node_id, "upstreams": draw(upstreams(families, full=full))}
        for name, node_id in zip(pop_names, draw(ids(count, 50)), strict=True)
    }
    workers = {
        name: {"host": LATE, "node_id": node_id, **draw(worker_options(pop_names))}
        for name, node_id in zip(worker_names, draw(ids(len(worker_names), 1023)), strict=True)
    }
    if all(w.get("drained") for w in workers.values()):
        next(iter(workers.values()))["drained"] = False
    tree = {
        "asn": draw(st.sampled_from([64500, 3333, 4200000001])),
        "admin_sources": draw(admin_sources()),
        "prefixes": prefixes,
        "vips": vips,
        "pops": pops,
        "pools": {"web": {"workers": workers}},
        "services": draw(services(vips)),
        "check_budget_per_s": 100_000,
        "blackholes": draw(blackholes(prefixes, pop_names)),
        "time_servers": draw(
            st.lists(st.sampled_from(["198.18.250.11", "ntp.example"]), max_size=2)
        ),
        "roll": {"drain_s": draw(st.integers(0, 600))},
    }
    tree["egress"] = draw(egress(families, worker_names))
    named = draw_name_service(draw, tree, families)
    declare_origins(draw, tree)
    epochs = draw(st.sampled_from([[1], [2], [1, 2], [2, 1], [3, 2]]))
    if epochs != [1] or draw(st.booleans()):
        tree["tunnels"] = {"key_epochs": epochs}
    if full:
        tree["rpki"] = ["198.18.250.11:323", "[2001:db8:fa::12]:3323"]
    keys = {(name, epoch): wireguard_key(f"{name}/{epoch}") for name in names for epoch in epochs}
    hosts = draw(host_trees(names))
    if named:
        hosts["name_service"] = {
            "ipv4": "198.18.250.53",
            "ipv6": "2001:db8:fa::53",
            "host_key": host_key(),
        }
    for name, worker in workers.items():
        way = draw(st.sampled_from(["direct", "bastion", "joined"]))
        if way == "joined" and worker["behind_nat"]:
            worker["managed_through"] = pop_names[0]
            worker["join_keys"] = {str(epoch): keys[name, epoch] for epoch in epochs}
        elif way == "bastion":
            hosts[name]["bastion"] = draw(bastions())
    for name in pop_names[1:]:
        if draw(st.booleans()):
            hosts[name]["bastion"] = draw(bastions())
    fit_bgp_tunnels(draw, tree, hosts)
    return Drawn(tree, hosts, keys)


def bastions() -> st.SearchStrategy[dict[str, Any]]:
    """Some of them inside what admin_sources name."""
    known = ["192.0.2.200", "198.51.100.5", "2001:db8:fb::7"]
    return st.fixed_dictionaries(
        {"address": st.sampled_from(known), "host_key": st.just(host_key())},
        optional={"sources": st.lists(st.sampled_from([*known, "10.1.2.3"]), unique=True)},
    )


def declare_origins(draw: st.DrawFn, tree: dict[str, Any]) -> None:
    """The long form of some prefixes; the first of a family is announced by every PoP."""
    ours = tree["asn"]
    asn = 3356 if ours == 4200000001 else ours  # a private number is taken off by the carrier
    for name, prefix in tree["prefixes"].items():
        if not draw(st.booleans()):
            continue
        origin: dict[str, Any] = {
            "asn": asn,
            "asn_source": "its page",
            "roa": {"asn": asn, "valid_on": "2020-01-01"},
        }
        if not name.endswith("-0"):
            origin["pops"] = draw(st.lists(st.sampled_from(sorted(tree["pops"])), unique=True))
        prefix |= {"origin": "byoip", "holder": "Example AG", "origins": {"ours": origin}}
    if draw(st.booleans()):
        last = max(name for name in tree["vips"] if name != NAMES)
        tree["vips"][last]["allocate_from"] = sorted(n for n in tree["prefixes"] if n != NAMES)


def draw_name_service(draw: st.DrawFn, tree: dict[str, Any], families: tuple[int, ...]) -> bool:
    """In some fleets PoPs answer for zones, at an address in a prefix of its own."""
    if not draw(st.booleans()):
        return False
    cidr = draw(st.sampled_from([NAMES_CIDR[family] for family in families]))
    tree["prefixes"][NAMES] = {"cidr": cidr}
    tree["vips"][NAMES] = {"addresses": own_addresses({NAMES: {"cidr": cidr}})}
    tree["name_service"] = {
        "vip": NAMES,
        "primary": LATE,
        "transfer_secret": LATE,
        "responses_per_s": draw(st.sampled_from([0, 200])),
    }
    for pop in tree["pops"].values():
        if draw(st.booleans()):
            pop["name_server"] = draw(st.sampled_from(["knot", "nsd"]))
    return True


@st.composite
def egress(draw: st.DrawFn, families: tuple[int, ...], workers: list[str]) -> dict[str, Any]:
    """An address that no VIP has, nor picks by its name."""
    if 4 not in families or draw(st.booleans()):
        return {}
    may = draw(st.lists(st.sampled_from(workers), min_size=1, unique=True))
    return {"out": {"addresses": ["203.0.113.77"], "workers": may}}


def blackholes(
    prefixes: dict[str, Any], pops: list[str]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries(
        {
            "address": st.sampled_from(own_addresses(prefixes)),
            "reason": st.sampled_from(["a flood", 'it\'s "gone"; # {yes}']),
        },
        optional={"pops": st.lists(st.sampled_from(pops), min_size=1, max_size=2)},
    )
    return st.lists(one, max_size=2, unique_by=lambda hole: hole["address"])


def ids(count: int, highest: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, highest), min_size=count, max_size=count, unique=True)


@st.composite
def prefix_trees(draw: st.DrawFn, families: tuple[int, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    gate = st.sampled_from(["all", "any"])
    for family in families:
        for index in range(draw(st.integers(1, 2))):
            v4 = ("203.0.113.0/24", "198.19.7.0/24")[index]
            cidr = v4 if family == 4 else f"2001:db8:{100 + index}::/48"
            found[f"p{family}-{index}"] = {"cidr": cidr, "gate": draw(gate)}
    return found


def own_addresses(prefixes: dict[str, Any]) -> list[str]:
    return [p["cidr"].split("/")[0].removesuffix(".0") + suffix(p) for p in prefixes.values()]


def suffix(prefix: dict[str, Any]) -> str:
    return "66" if ":" in prefix["cidr"] else ".66"


@st.composite
def vip_trees(draw: st.DrawFn, prefixes: dict[str, Any]) -> dict[str, Any]:
    """Every prefix holds at least one address, so that a service can gate it."""
    together = draw(st.booleans())
    addresses = own_addresses(prefixes)
    if together:
        return {"www": {"addresses": addresses}}
    return {f"vip{index}": {"addresses": [address]} for index, address in enumerate(addresses)}


@st.composite
def services(draw: st.DrawFn, vips: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ports = st.integers(1, 65535).filter(lambda port: port not in {22, 179, 1790, 2222})
    for vip in vips:
        for port in draw(st.lists(ports, min_size=1, max_size=2, unique=True)):
            found[f"{vip}-{port}"] = {
                "vip": vip,
                "port": port,
                "pool": "web",
                "worker_port": draw(ports),
                "max_connections": draw(st.integers(300, 50_000)),
            }
            if draw(st.booleans()):
                found[f"{vip}-{port}"]["limits"] = draw(limits())
    if draw(st.booleans()):
        last = draw(st.sampled_from(sorted(found)))
        found[last]["health"] = {"interval_ms": draw(st.integers(1, 2000))}
    return found


def limits() -> st.SearchStrategy[dict[str, Any]]:
    """At least one of the three, one client's below everybody's."""

    def rates(lowest: int, highest: int) -> st.SearchStrategy[dict[str, int]]:
        rate = {"rate_per_s": st.integers(lowest, highest)}
        return st.fixed_dictionaries(rate, optional={"burst": st.integers(1, 1_000_000)})

    every = {
        "new_connections_per_client": rates(1, 1000),
        "new_connections": rates(1000, 1_000_000),
        "concurrent_per_client": st.integers(1, 300),
    }
    return st.fixed_dictionaries({}, optional=every).filter(bool)


@st.composite
def worker_options(draw: st.DrawFn, pops: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "weight": draw(st.integers(1, 256)),
        "drained": draw(st.booleans()),
        "rtt_ms": draw(st.floats(0.1, 300, allow_nan=False)),
        "behind_nat": draw(st.booleans()),
        "path_mtu_bytes": draw(st.integers(1360, 9000)),
        "restrict_ssh": draw(st.booleans()),
    }
    if draw(st.booleans()):
        options["rtt_ms_from"] = {draw(st.sampled_from(pops)): draw(st.integers(1, 300))}
    return options


def admin_sources() -> st.SearchStrategy[list[str]]:
    known = ["198.18.251.2/32", "198.51.100.0/28", "2001:db8:fb::/64", "192.0.2.200/32"]
    return st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True)


@st.composite
def upstreams(draw: st.DrawFn, families: tuple[int, ...], *, full: bool) -> dict[str, Any]:
    names = draw(st.lists(labels(longest=30), min_size=1, max_size=3, unique=True))
    return {
        name: draw(upstream(index, name, families, full=full)) for index, name in enumerate(names)
    }


@st.composite
def upstream(
    draw: st.DrawFn, index: int, name: str, families: tuple[int, ...], *, full: bool
) -> dict[str, Any]:
    hold_time_s = draw(st.integers(3, 300))
    tree: dict[str, Any] = {
        "asn": draw(st.sampled_from([64496, 174, 4200000099])),
        "asn_source": "the order form",
        "kind": draw(st.sampled_from(["transit", "internal"])),
        "hold_time_s": hold_time_s,
        "keepalive_s": draw(st.integers(1, hold_time_s // 3)),
        "routes": draw(st.sampled_from(["default", "full"])) if full else "default",
    }
    if tree["kind"] == "transit":
        tree["role_strict"] = draw(st.booleans())
    spoken = families if index == 0 else draw(st.sampled_from([families, families[:1]]))
    for family in spoken:
        near, far = session_ends(index, family)
        tree |= {f"local_v{family}": near, f"neighbor_v{family}": far}
    for protection in ("md5", "bfd"):
        if draw(st.booleans()):
            tree[protection] = LATE if protection == "md5" else True
        else:
            tree |= {"bfd": False} if protection == "bfd" else {}
            tree[f"{protection}_waived_because"] = 'it\'s not offered; "really" {not} #1'
    if len(name) <= 12 and draw(st.booleans()):
        tree["kind"], tree["tunnel"] = "tunnel", draw(bgp_tunnels(index))
        if tree["tunnel"]["router"] == "own":
            tree["role_strict"] = False
    elif draw(st.booleans()):
        tree |= {"multihop": draw(st.integers(2, 255)), "multihop_because": "a route server"}
        tree |= {f"gateway_v{f}": session_ends(index + 8, f)[0] for f in spoken}
    elif draw(st.booleans()):
        tree["interface"] = draw(st.sampled_from(["eth0", "up0", "enp1s0f0.100"]))
    tree["communities"] = draw(communities(f"p{families[0]}-0"))
    if not any(c["use"] == "blackhole" for c in tree["communities"].values()):
        tree["blackhole_waived_because"] = "it offers none"
    return tree


def bgp_tunnels(index: int) -> st.SearchStrategy[dict[str, Any]]:
    """The tunnel of a PoP's upstream; the key's epoch and the machine's family follow later."""
    return st.fixed_dictionaries(
        {
            "endpoint": st.sampled_from(["198.51.100.77", "2001:db8:77::1"]),
            "endpoint_port": st.integers(1, 65535),
            "public_key": st.just(wireguard_key(f"router {index}")),
            "router": st.sampled_from(["carrier", "own"]),
            "listen_port": st.sampled_from([[51820, 52844, 443][index], 4000 + index]),
        },
        optional={
            "path_mtu_bytes": st.integers(1360, 9000),
            "persistent_keepalive_s": st.integers(1, 300),
        },
    )


def fit_bgp_tunnels(draw: st.DrawFn, tree: dict[str, Any], hosts: dict[str, Any]) -> None:
    """Give each tunnel to a router a key that stands, and its PoP an address of its family."""
    epochs = tree.get("tunnels", {}).get("key_epochs", [1])
    for number, (name, pop) in enumerate(sorted(tree["pops"].items())):
        for tunnel in [up["tunnel"] for up in pop["upstreams"].values() if "tunnel" in up]:
            tunnel["key_epoch"] = draw(st.sampled_from(epochs))
            family = 6 if ":" in tunnel["endpoint"] else 4
            address = f"198.18.200.{number}" if family == 4 else f"2001:db8:200:{number:x}::11"
            hosts[name].setdefault(f"ipv{family}", address)


def session_ends(index: int, family: int) -> tuple[str, str]:
    if family == 4:
        return f"192.0.2.{2 * index + 1}", f"192.0.2.{2 * index}"
    return f"2001:db8:ff:{index}::1", f"2001:db8:ff:{index}::"


def communities(prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of them go with one prefix only."""
    value = st.sampled_from(["65535:666", "64496:100", "64496:1:2", "4200000099:0:80"])
    every = st.sampled_from(["announce", "drain", "blackhole"])
    one = st.builds(lambda v, u: {"value": v, "source": "its page", "use": u}, value, every)
    bound = st.builds(
        lambda v, u: {"value": v, "source": "its page", "use": u, "prefixes": [prefix]},
        value,
        st.sampled_from(["announce", "drain"]),
    )
    return st.dictionaries(labels(), one | bound, max_size=3)


@st.composite
def host_trees(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    """Late facts; every pair shares the family that all have."""
    common = draw(st.sampled_from([4, 6]))
    trees = {}
    for index, name in enumerate(names):
        tree: dict[str, Any] = {
            "host_key": host_key(),
            "ssh_port": draw(st.sampled_from([22, 2222])),
        }
        for family in (4, 6):
            if family == common or draw(st.booleans()):
                address = f"198.18.{index}.11" if family == 4 else f"2001:db8:{index:x}::11"
                tree[f"ipv{family}"] = address
        trees[name] = tree
    return trees


def host_key() -> str:
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + bytes(32)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def wireguard_key(name: str) -> str:
    return base64.b64encode(name.encode().ljust(32, b"\0")).decode()
