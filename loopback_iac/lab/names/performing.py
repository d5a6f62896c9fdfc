"""Performs a drill of names on a hierarchy that is whole, and judges what it left behind."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.runner import Verdict
from loopback_iac.lab.machine import check_machine
from loopback_iac.lab.names.anycast import anycast
from loopback_iac.lab.names.image import sweep_images, writable_image
from loopback_iac.lab.names.signing import DS_TTL_S
from loopback_iac.lab.names.space import sweep_namespaces
from loopback_iac.lab.names.story import CLIENTS, STRICT, Story
from loopback_iac.lab.names.tree import hierarchy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopback_iac.lab.names.anycast import Anycast
    from loopback_iac.lab.names.story import NameDrill
    from loopback_iac.lab.names.tree import Hierarchy


@contextmanager
def stage(drill: NameDrill) -> Iterator[Hierarchy | Anycast]:
    """What a drill is played on, of its own; nothing is left of it afterwards, nor of one that was
    killed before.

    Raises: LabError when this machine cannot carry it, or has no image and none can be built.
    """
    check_machine()
    sweep_namespaces()
    sweep_images()
    with (
        writable_image() as image,
        tempfile.TemporaryDirectory(dir=image.root.parent) as ground,
        ExitStack() as open_,
    ):
        if drill.of_pops:
            yield open_.enter_context(anycast(image, Path(ground)))
        else:
            yield open_.enter_context(hierarchy(image, Path(ground), ds_ttl_s=DS_TTL_S))


def perform(ground: Hierarchy | Anycast, drill: NameDrill, rate: int) -> Story:
    """One run, while somebody asks so often a second.

    Raises: LabError when something does not come that the drill waits for; what it broke is then
    left broken.
    """
    ground.load(rate)
    story = Story(ground, main=CLIENTS if drill.of_pops else STRICT)
    story.askers[story.main]().mark()
    story.goes_on()
    drill.play(story)
    story.sample()
    return story


def judge(drill: NameDrill, runs: Sequence[Story]) -> tuple[Verdict, ...]:
    """Out: every check of the drill with the runs in which it did not hold."""
    return tuple(
        Verdict(
            check.name,
            check.says,
            {n: why for n, run in enumerate(runs, 1) if (why := check.judge(run))},
        )
        for check in drill.must_hold
    )
