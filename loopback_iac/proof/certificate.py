"""The proof as a file that somebody else can check, with nothing but verify.py beside it."""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from loopback_iac.proof.causes import KINDS
from loopback_iac.proof.network import disjoint_routes
from loopback_iac.proof.prove import Proof, Verdict

FORMAT = 1
CLAIM = (
    "In the declared model, no loss of `survives` or fewer hard causes at once takes the service "
    "down. This is a property of the model under the assumptions below, not of availability."
)
ASSUMED = (
    "Causes are lost independently of each other unless the model has what they share.",
    "What the stack declares is so: providers, sites, countries, upstreams. Nobody was asked.",
    "Every PoP has a tunnel to every serving worker; two networks that stand reach each other.",
    "Outside of the fleet, BGP finds another announcement of the prefix wherever one is left.",
    "A PoP without any reachable worker stays announced, by a longer path that nobody prefers.",
    "What is left carries the load, unless a number of PoPs or workers is demanded.",
    "Lost means silent or withdrawn. Something that answers wrongly is not lost.",
)
NOT_COVERED = (
    "How long clients notice a loss before the rest has taken over: drills measure that.",
    "Attacks, capacity of links, and the load that moves to what is left.",
    "What happens inside an upstream, a provider or the Internet between them.",
    "What is down, drained or changed by hand right now.",
    "What PoPs use beside traffic: time servers, RPKI caches, package mirrors, monitoring.",
    "What runs on the workers, and the cluster and storage behind them.",
)
UNNAMED = "How clients resolve the names of these services: no name was declared for the proof."


def render_certificate(proof: Proof, stack: str) -> dict[str, Any]:
    """
    The certificate as plain JSON values; the same proof gives the same bytes.

    In: stack, what the certificate calls the fleet it is about.
    """
    model = {
        "causes": {
            key: {
                "kind": cause.kind,
                "kind_means": KINDS[cause.kind].words,
                "name": cause.name,
                "class": cause.standing.value,
                "because": cause.because,
                "owner": cause.owner,
            }
            for key, cause in sorted(proof.model.causes.items())
        },
        "gates": {
            name: {"need": gate.need, "of": [*gate.of]} for name, gate in proof.model.gates.items()
        },
        "systems": {
            system.name: {"demand": system.demand, "needs_all_of": dict(system.parts)}
            for system in proof.model.systems
        },
    }
    return {
        "format": FORMAT,
        "stack": stack,
        "claim": CLAIM,
        "model": model,
        "model_sha256": digest(model),
        "parts": {part: _part(proof, part) for part in proof.parts},
        "systems": {verdict.system.name: _system(verdict) for verdict in proof.verdicts},
        "not_counted": {key: [*down] for key, down in proof.alone().items()},
        "assumptions": assumed(proof),
        "not_covered": not_covered(proof),
    }


def render_text(certificate: Mapping[str, Any]) -> str:
    """The certificate's file."""
    return json.dumps(certificate, indent=1, ensure_ascii=False) + "\n"


def verifier_text() -> str:
    """Text of verify.py, which needs nothing but Python."""
    return files(__package__).joinpath("verify.py").read_text()


def digest(model: Mapping[str, Any]) -> str:
    """What the model is known by: SHA-256 of its JSON with sorted keys."""
    text = json.dumps(model, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def assumed(proof: Proof) -> list[str]:
    """What the proof takes for granted."""
    return [*ASSUMED, *proof.model.assumed]


def not_covered(proof: Proof) -> list[str]:
    """What it says nothing about."""
    named = any(part.startswith("name ") for s in proof.model.systems for part in s.parts)
    return [*NOT_COVERED, *([] if named else [UNNAMED])]


def _part(proof: Proof, part: str) -> dict[str, Any]:
    found = proof.parts[part]
    tree: dict[str, Any] = {
        "survives": found.survives,
        "exact": found.exact,
        "smallest_cuts": [[*cut] for cut in found.cuts],
        "witnesses": [
            {"without": sorted(lost), "stands_on": [*path]}
            for lost, path in sorted(
                found.witnesses.items(), key=lambda each: (len(each[0]), sorted(each[0]))
            )
            if len(lost) <= found.survives
        ],
    }
    routes = proof.model.routes.get(part)
    if routes:
        menger = disjoint_routes(routes)
        tree["network"] = {
            "disjoint_routes": [[*route] for route in menger.routes],
            "cut": [*menger.cut],
        }
    return tree


def _system(verdict: Verdict) -> dict[str, Any]:
    return {
        "survives": verdict.survives,
        "exact": verdict.exact,
        "met": verdict.met,
        "smallest_cuts": [[*cut] for cut in verdict.cuts],
    }
