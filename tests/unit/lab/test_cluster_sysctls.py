"""Settings of the machine: noted once, raised, put back by the last who needed them."""

from __future__ import annotations

import json
import os

import pytest

from loopback_iac.lab.cluster import sysctls

INOTIFY, PANIC, ONE_WAY = (
    "fs.inotify.max_user_instances",
    "kernel.panic",
    "kernel.unprivileged_bpf_disabled",
)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A tree of settings in place of the machine's own."""
    root = tmp_path / "sys"
    for name, value in ((INOTIFY, "128"), (PANIC, "1"), (ONE_WAY, "2")):
        path = root / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    monkeypatch.setattr(sysctls, "_KERNEL", root)
    monkeypatch.setenv("LOOPBACK_STATE", str(tmp_path / "state"))
    return root


def write(kernel, name: str, value: str) -> None:
    (kernel / name.replace(".", "/")).write_text(f"{value}\n")


def test_what_was_raised_is_put_back_by_the_last_owner(kernel):
    for owner in ("lab-a", "lab-b", "lab-b"):
        sysctls.borrow(owner, sysctls.ROOM)
    assert sysctls.read_setting(INOTIFY) == "1024"
    assert sysctls.give_back("lab-a") == {}
    assert sysctls.read_setting(INOTIFY) == "1024"
    assert sysctls.give_back("lab-b") == {}
    assert sysctls.read_setting(INOTIFY) == "128"
    assert sysctls.borrowers() == []
    assert sysctls.give_back("lab-b") == {}


def test_more_than_enough_is_left_as_it_is(kernel):
    write(kernel, INOTIFY, "9000")
    sysctls.borrow("lab-a", sysctls.ROOM)
    assert sysctls.read_setting(INOTIFY) == "9000"


def test_what_a_daemon_changed_meanwhile_is_put_back(kernel):
    with sysctls.preserved():
        write(kernel, PANIC, "10")
    assert sysctls.read_setting(PANIC) == "1"


def test_what_the_kernel_refuses_is_told(kernel, monkeypatch):
    sysctls.borrow("lab-a")
    write(kernel, ONE_WAY, "1")
    taken = sysctls._set
    monkeypatch.setattr(sysctls, "_set", lambda n, v: n != ONE_WAY and taken(n, v))
    assert sysctls.give_back("lab-a") == {ONE_WAY: "2"}


def test_an_owner_that_was_killed_owns_nothing(kernel, tmp_path):
    sysctls.borrow("lab-a", sysctls.ROOM)
    book = tmp_path / "state/machine-settings.json"
    told = json.loads(book.read_text())
    gone = next(n for n in range(2**22, 2**21, -1) if not os.path.exists(f"/proc/{n}"))  # noqa: PTH110
    book.write_text(json.dumps({**told, "owners": ["lab-a", f"process-{gone}"]}))
    assert sysctls.borrowers() == ["lab-a"]
    sysctls.give_back("lab-a")
    assert sysctls.read_setting(INOTIFY) == "128"


def test_what_stays_changed_is_told_beforehand(kernel):
    assert sysctls.changes_foretold() == [
        f"{ONE_WAY}: 2 becomes 1 until this machine boots again",
    ]
    write(kernel, ONE_WAY, "1")
    assert sysctls.changes_foretold() == []
