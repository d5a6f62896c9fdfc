"""Calls to a stand-in cloud's API: faults that a test turned on, retries, limits, the book."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.switches import DARK, read_switches, take_fault
from loopback_iac.lab.paths import InstancePaths, LabError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from loopback_iac.lab.cloud.book import Book
    from loopback_iac.lab.cloud.ground import Ground
    from loopback_iac.lab.cloud.kinds import ApiError


class Account:
    """One cloud of the lab that LOOPBACK_LAB names, as one user sees it."""

    def __init__(
        self,
        cloud: str,
        stopped: threading.Event,
        errors: Mapping[str, ApiError],
        waits_s: Mapping[str, tuple[float, ...]],
    ) -> None:
        """In: errors by code, for faults; waits_s: codes that the client tries again, how long."""
        self.cloud = cloud
        self._stopped, self._errors, self._waits_s = stopped, errors, waits_s

    @cached_property
    def shelf(self) -> Shelf:
        """
        Where the books are.

        Raises: LabError when the plugin was started outside a lab.
        """
        name = os.environ.get("LOOPBACK_LAB", "")
        if not name:
            raise LabError(
                f"the stand-in for {self.cloud} puts servers into a lab, and LOOPBACK_LAB has none"
                "\n  fix: run it as `loopback lab exec -- loopback up`"
            )
        return Shelf(InstancePaths(name))

    @cached_property
    def ground(self) -> Ground:
        """The lab under this cloud."""
        from loopback_iac.lab.instance import open_ground  # noqa: PLC0415  # in a circle

        return open_ground(self.shelf.paths.name)

    @contextmanager
    def call(self, verb: str, kind: str, name: str = "") -> Iterator[Book]:
        """
        One call of the API: the whole of it happens, or nothing.

        In: verb create|read|update|delete.
        Raises: ApiError of a fault that a test turned on, after all the retries of the client.
        """
        code = take_fault(self.shelf, self.cloud, verb, kind, name)
        for wait_s in self._waits_s.get(code, ()):
            if not code or self._stopped.wait(wait_s):
                break
            code = take_fault(self.shelf, self.cloud, verb, kind, name)
        if code:
            raise self._errors[code]
        with self.shelf.changing(self.cloud) as book:
            yield book

    def stays_dark(self, kind: str, name: str) -> bool:
        """Whether a test wants this server never to boot."""
        return take_fault(self.shelf, self.cloud, "create", f"{kind}-boot", name) == DARK

    def limit(self, kind: str) -> int | None:
        """The most things of a kind that this account may have, when a test says so."""
        return read_switches(self.shelf).limits.get(self.cloud, {}).get(kind)
