"""The agent as enroll installs it, by the image's own Python: with its bytecode, and without."""

from __future__ import annotations

import re
import zipfile

import pytest

from loopback_iac import agent

SENT = "/agent-sent.pyz"
FOLDER = "/usr/local/lib/loopback"
AGENT = "/usr/local/sbin/loopback-agent"
INSTALL = f"""\
import sys
sys.path.insert(0, "{SENT}")
from loopback_agent.enroll import install_agent
install_agent(open(sys.argv[1], "rb").read())
"""
OTHER = b"another build"


def install(image, path=SENT):
    done = image.run("python3", "-IBc", INSTALL, path)
    assert (done.returncode, done.stderr) == (0, "")
    return sorted(p for p in (image.root / FOLDER[1:]).iterdir() if p.name.startswith("agent-"))


def start(image):
    """Archives, and kinds of files in them, where a start looks for its code until it has it."""
    done = image.run("python3", "-IBvv", AGENT, "drain", "never")
    assert "loopback-agent drain: 'never' is no number of seconds" in done.stderr.splitlines()
    assert done.returncode == 2
    return set(re.findall(r"(?m)^# trying (\S+)/loopback_agent/main\.(pyc?)$", done.stderr))


@pytest.fixture
def installed(image):
    image.empty(FOLDER)
    (image.root / SENT[1:]).write_bytes(agent.build())
    own = image.root / AGENT[1:]
    before = own.read_bytes()
    yield install(image)
    own.unlink()
    own.write_bytes(before)
    own.chmod(0o755)


def test_an_installed_agent_starts_from_its_bytecode(image, installed):
    program, compiled = installed
    assert program.read_bytes() == agent.build()  # what is sent is what stands, and is reported
    assert compiled.name.startswith(f"{program.name}.cpython-")
    assert (program.stat().st_mode & 0o777, compiled.stat().st_mode & 0o777) == (0o755, 0o644)
    assert start(image) == {(f"{FOLDER}/{compiled.name}", "pyc")}
    made = compiled.stat()
    assert install(image) == installed
    assert compiled.stat() == made  # what runs reads on in it


def test_bytecode_that_does_not_fit_is_passed_over(image, installed):
    _, compiled = installed
    whole = compiled.read_bytes()
    own = {(AGENT, kind) for kind in ("pyc", "py")}
    with zipfile.ZipFile(compiled) as archive:
        head = archive.read("loopback_agent/main.pyc")[:4]
    compiled.write_bytes(whole.replace(head, b"\0\0\r\n"))  # of another Python
    assert start(image) == {(f"{FOLDER}/{compiled.name}", kind) for kind in ("pyc", "py")}
    for broken in (whole[: len(whole) // 2], b""):
        compiled.write_bytes(broken)
        assert start(image) == own
    assert install(image) == installed
    assert compiled.read_bytes()[:4] == b"PK\3\4"
    assert start(image) == {(f"{FOLDER}/{compiled.name}", "pyc")}
    compiled.unlink()
    assert start(image) == own


def test_what_still_runs_keeps_its_bytecode_and_older_goes(image, installed):
    builds = [agent.build() + OTHER * count for count in (1, 2)]
    found = [installed]
    for build in builds:
        (image.root / "agent-next.pyz").write_bytes(build)
        found.append(install(image, "/agent-next.pyz"))
    names = [{path.name for path in paths} for paths in found]
    assert [len(each) for each in names] == [2, 4, 4]
    assert names[0] < names[1]
    assert not names[0] & names[2]
