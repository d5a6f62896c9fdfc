"""Stacks as the proof sees them, of any width, real enough that `read_stack` reads them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from loopback_iac.proof import Demands, prove_redundancy, read_stack

EDGE = "loopback-iac:index:AnycastEdge"
METAL = "loopback-iac:index:BareMetalHost"
V4, V6 = "203.0.113.10", "2001:db8:100::10"


def upstream(asn: int, families: tuple[int, ...] = (4, 6), **facts: Any) -> dict[str, Any]:
    return {"kind": "transit", "asn": asn, "families": [*families], **facts}


def place(name: str, **facts: Any) -> dict[str, Any]:
    """A machine that shares nothing with others, but for what is said."""
    own = {"provider": f"p-{name}", "site": f"s-{name}", "country": f"c-{name}"}
    return {k: v for k, v in (own | facts).items() if v is not None}


def fleet(pops: dict[str, Any], workers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "asn": 64500,
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:100::/48"}},
        "vips": {"www": [V4]},
        "pops": {name: {"upstreams": ups} for name, ups in pops.items()},
        "pools": {"web": {"workers": workers}},
        "services": {"https": {"vip": "www", "pool": "web"}},
        "blackholes": [],
        **more,
    }


def worker(weight: int = 100, *, drained: bool = False) -> dict[str, Any]:
    return {"weight": weight, "drained": drained}


def resources(facts: dict[str, Any], places: dict[str, Any]) -> list[dict[str, Any]]:
    hosts = [{"type": METAL, "name": name, "inputs": said} for name, said in places.items()]
    return [*hosts, {"type": EDGE, "name": "edge", "inputs": {"fleet": facts}}]


def two(**more: Any) -> dict[str, Any]:
    """Two PoPs at two carriers each, two workers."""
    ups = {"t1": upstream(64496), "t2": upstream(64497)}
    return fleet({"a": ups, "b": ups}, {"w1": worker(), "w2": worker()}, **more)


PLACES = {name: place(name) for name in ("a", "b", "w1", "w2")}


def proved(facts=None, places=None, demands=None, default=1, **more):
    stack = read_stack(resources(facts or two(), places or PLACES))
    return prove_redundancy(stack, demands or Demands(), default, **more)


@st.composite
def stacks(draw: st.DrawFn, widest: int = 4):
    """Fleets in which anything may be shared, given up, drained or left undeclared."""
    names = [f"p{n}" for n in range(draw(st.integers(1, widest)))]
    hands = [f"w{n}" for n in range(draw(st.integers(1, widest)))]
    few = st.sampled_from(["x", "y", "z"])
    pops = {
        name: {
            f"t{at}": upstream(
                draw(st.integers(64496, 64498)), draw(st.sampled_from([(4,), (6,), (4, 6)]))
            )
            for at in range(draw(st.integers(1, 3)))
        }
        for name in names
    }
    workers = {name: worker(draw(st.sampled_from([0, 100, 100]))) for name in hands}
    said = {
        name: {
            "provider": draw(few | st.none()),
            "site": draw(few | st.just(name)),
            "country": draw(few | st.just(name)),
            "failure_domains": draw(st.lists(few, max_size=2, unique=True)),
        }
        for name in (*names, *hands)
    }
    holes = [{"address": V4, "pops": draw(st.lists(st.sampled_from(names), unique=True))}]
    facts = fleet(
        pops, workers, vips={"www": [V4, V6]}, blackholes=draw(st.sampled_from([[], holes]))
    )
    asked = {"https": {"pops": draw(st.integers(1, 2)), "workers": draw(st.integers(1, 2))}}
    places = {n: {k: v for k, v in one.items() if v is not None} for n, one in said.items()}
    return read_stack(resources(facts, places)), asked
