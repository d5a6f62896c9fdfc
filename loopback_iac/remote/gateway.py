"""Having a group's egress addresses handed over, with nothing but SSH to its nodes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.remote.ssh import ask_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopback_iac.remote.ssh import Answer, Expected, Identity

GATEWAY = "gateway"


class HandOverError(Exception):
    """The addresses stay where they are, as far as is known; the text says what each node said."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Who holds a group's addresses now, and how long it took in seconds."""

    group: str
    holder: str
    took_s: float


def hand_over(
    hosts: Sequence[Expected], group: str, node: str, identity: Identity, wait_s: float
) -> HandedOver:
    """Ask every gateway: the one that holds the addresses hands them over, the others say no.

    Raises: HandOverError; IdentityError.
    """
    gateways = [host for host in hosts if host.role == GATEWAY]
    if not gateways:
        raise HandOverError("no host of this stack is an egress gateway\n  fix: name its stack")
    return judge_answers(group, ask_hosts(gateways, ("hand-over", group, node), identity, wait_s))


def judge_answers(group: str, answers: Mapping[str, Answer]) -> HandedOver:
    """What the nodes' answers come to.

    Raises: HandOverError with all of them when none handed over.
    """
    said = []
    for host, answer in sorted(answers.items()):
        if answer.unreachable or answer.exit_status:
            told = answer.unreachable or (answer.stderr or answer.stdout).strip()[:2000]
            said.append(f"{host}: {told}")
            continue
        try:
            done = json.loads(answer.stdout)
            return HandedOver(group, str(done["holder"]), float(done["took_s"]))
        except (ValueError, KeyError, TypeError):
            said.append(f"{host} answered something else than an agent does")
    raise HandOverError("\n".join(said))
