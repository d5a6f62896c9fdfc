"""An egress gateway's keeper: every group of this node, each in a thread of its own.

It runs on the node, beside Cilium's agent: an address needs a card, and a node's death is noticed
without a scheduler or a pod network. It may be restarted at any moment: addresses outlast it for a
second or two, and a new run goes on where the old one ended.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

from .gatewayapi import Cluster
from .gatewaycard import GroupCard, drop_strays
from .gatewayfile import GATEWAY, Gateway, Group, read_gateway
from .gatewayguard import GUARD_EVERY_S, guard_cards
from .gatewaykeeper import Keeper
from .gatewaypeers import Ear, Peers, Ready, derive_key
from .gatewaystatus import FOLDER, WISHES, Status, read_wish, status_of, write_status
from .programs import boottime_s
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .gatewaychoice import Said
    from .gatewayparts import Wish

STATUS_EVERY_S = 0.2
FIXED_EVERY_S = 1.0


class Fixed:
    """A group of this node alone: its addresses stand, and what was found at the last look."""

    def __init__(self, group: Group, node: str) -> None:
        self.group, self._node = group, node
        self._card = GroupCard(group, node)
        self._holds, self._trouble = False, ""

    def keep(self) -> None:
        """Put on what is missing.

        Raises: RefusedError, OSError.
        """
        if self._card.keep():
            sys.stderr.write(f"{self.group.name}: {', '.join(self.group.addresses)} put on\n")
            self._card.announce()

    def note(self, trouble: str) -> None:
        """How it went."""
        self._holds, self._trouble = not trouble, trouble

    @property
    def status(self) -> Status:
        """As a group that moves has one."""
        words = (self._node, 0, "hold", "it has a single node")
        return Status(*words, holds=self._holds, settled=self._holds, api=True, ready=True, moves=0,
                      api_errors=0, strays=0, trouble=self._trouble)  # fmt: skip


class _Around:
    """One group's neighbourhood."""

    def __init__(self, group: Group, peers: Peers, ready: Ready, wishes: str) -> None:
        self._group, self._peers, self._ready, self._wishes = group, peers, ready, wishes

    @property
    def said(self) -> Mapping[str, Said]:
        return self._peers.said

    @property
    def ready(self) -> bool:
        return bool(self._ready)

    def wish(self) -> Wish | None:
        return read_wish(self._group.name, self._wishes)


def gateway(path: str = GATEWAY, wishes: str = WISHES) -> None:
    """Keep for ever.

    In:  gateway.json, and where operators' wishes are left.
    Raises: RefusedError when there is no gateway.json or no credential.
    """
    kept = read_gateway(path)
    if kept is None:
        raise RefusedError(f"there is no {path}", fix="apply a bundle first")
    drop_strays(kept.groups)
    guard = functools.partial(guard_cards, kept)
    _start(functools.partial(repeat, guard, GUARD_EVERY_S))
    moving = [group for group in kept.groups if not group.fixed]
    keepers = _start_moving(kept, moving, wishes) if moving else {}
    standing = [Fixed(group, kept.node) for group in kept.groups if group.fixed]
    for fixed in standing:
        acts = (fixed.keep, FIXED_EVERY_S, fixed.group.name, fixed.note)
        _start(functools.partial(repeat, *acts))
    folder = os.environ.get("RUNTIME_DIRECTORY", FOLDER)
    noted = False
    while True:
        with contextlib.suppress(OSError):  # no room: what it does matters more
            found = {name: status_of(keeper) for name, keeper in keepers.items()}
            write_status(found | {fixed.group.name: fixed.status for fixed in standing}, folder)
            if not noted:
                note_run(folder)
                noted = True
        time.sleep(STATUS_EVERY_S)


def note_run(folder: str = FOLDER) -> None:
    """Say which run the status is of, once it is; systemd's name for it."""
    with open(f"{folder}/run", "w", encoding="ascii") as stream:
        stream.write(os.environ.get("INVOCATION_ID", ""))


def read_run(folder: str = FOLDER) -> str:
    """Out: empty before the first look of the run."""
    try:
        with open(f"{folder}/run", encoding="ascii") as stream:
            return stream.read()
    except OSError:
        return ""


def _start_moving(kept: Gateway, groups: list[Group], wishes: str) -> dict[str, Keeper]:
    credential = _credential()
    ready = Ready(kept.agent)
    ready.start()
    keepers = {}
    words = {}
    for group in groups:
        key = derive_key(credential, group.name)
        peers = Peers(group, kept.node, key)
        parts = (
            Cluster(kept, group, credential),
            GroupCard(group, kept.node),
            _Around(group, peers, ready, wishes),
        )
        keeper = Keeper(group, kept.node, parts, boottime_s)
        keepers[group.name] = keeper
        words[group.name] = (key, kept.node, lambda keeper=keeper: keeper.word)
        peers.start()
    Ear(words).start()
    for keeper in keepers.values():
        _start(functools.partial(_keep, keeper))
    return keepers


def _start(act: Callable[[], None]) -> None:
    """A thread that breaks ends the process, and systemd starts it anew: half of it is no use."""

    def run() -> None:
        try:
            act()
        except Exception:  # noqa: BLE001 - whatever it was
            traceback.print_exc()
        os._exit(1)

    threading.Thread(target=run, daemon=True).start()


def _keep(keeper: Keeper) -> None:
    while True:
        time.sleep(keeper.step())


def repeat(
    act: Callable[[], None],
    pause_s: float,
    whose: str = "the guard",
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Do it again and again; the same complaint is said once.

    In: note, called with each complaint, or with nothing.
    """
    told = ""
    while True:
        found = ""
        try:
            act()
        except (RefusedError, OSError) as refused:
            found = str(getattr(refused, "what", refused))
        if found and found != told:
            sys.stderr.write(f"{whose}: {found}\n")
        told = found
        note(found)
        time.sleep(pause_s)


def _credential() -> str:
    """What systemd hands to this unit alone."""
    path = f"{os.environ.get('CREDENTIALS_DIRECTORY', '')}/api"
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read()
    except OSError as missing:
        raise RefusedError(
            "the unit has no credential `api`", fix="start it as loopback-gateway.service"
        ) from missing
