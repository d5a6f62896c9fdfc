"""Mocks of a cloud: they prove what a component declares and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pulumi.runtime.settings import reset_options

from tests.unit.components.recording import Monitor


@pytest.fixture(scope="module", autouse=True)
def loop():
    """One event loop for the module; those that pulumi's mocks leave open are closed at the end."""
    opened = []
    new_event_loop = asyncio.new_event_loop

    def recording():
        opened.append(new_event_loop())
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", recording)
        patch.setattr(asyncio.events, "new_event_loop", recording)
        asyncio.set_event_loop(asyncio.new_event_loop())
        yield opened[0]
    asyncio.set_event_loop(None)
    # what a program had begun waits on this loop
    reset_options()
    for each in opened:
        # outputs that a refused program had begun would be complained of in some later test
        if left := asyncio.all_tasks(each):
            for task in left:
                task.cancel()
            each.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        each.close()


@pytest.fixture(scope="session")
def deploy_key() -> str:
    """A private key in OpenSSH's form."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


@pytest.fixture(scope="module")
def hosts() -> dict[str, Any]:
    """What a program writes its hosts into."""
    return {}


@pytest.fixture(scope="module")
def declare(loop):
    """Run a program under mocks: returns the mocks with what they were asked for."""

    def run(mocks, program):
        pulumi.runtime.set_mocks(mocks, preview=False, monitor=Monitor(mocks))
        loop.run_until_complete(pulumi.runtime.stack.run_pulumi_func(program))
        return mocks

    return run
