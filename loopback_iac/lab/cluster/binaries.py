"""Programs of the lab's cluster, built from pinned Go modules and kept outside the tree.

`modules/FAMILY` has a go.mod with every version and a go.sum with every hash; nothing comes
ready-made. What is built stands under the digest of what it was built from.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.lab.cluster.complaints import told
from loopback_iac.lab.cluster.toolchain import install, toolchain
from loopback_iac.lab.paths import LabError, cache_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loopback_iac.lab.instance import Report

MODULES = Path(__file__).parent / "modules"
_KUBE = "k8s.io/component-base/version"
# What `go build` is told beside the package: the same everywhere, so it belongs to the key.
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
# What Go would take from the environment and what must not differ. -modcacherw: a cache that
# nobody but root may remove is a nuisance.
_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-modcacherw",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "GOOS": "linux",
}


@dataclass(frozen=True)
class Program:
    """
    One program of a family of modules.

    `package`: what is built; `stamp`: the version that upstream's own build writes into it, as the
    linker wants it (NAME=VALUE).
    """

    name: str
    family: str
    package: str
    stamp: tuple[str, ...] = ()


@dataclass(frozen=True)
class Files:
    """Files of a module that a program needs beside it: copied as they are published."""

    name: str
    family: str
    module: str
    folder: str


@dataclass(frozen=True)
class Built:
    """What a build did: wall and processor seconds (none when it was cached)."""

    name: str
    path: Path
    seconds: float = 0.0
    processor: float = 0.0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        if self.path.is_file():
            return self.path.stat().st_size
        return sum(f.stat().st_size for f in self.path.rglob("*") if f.is_file())


_KUBERNETES = (
    f"{_KUBE}.gitVersion=v1.36.3",
    f"{_KUBE}.gitMajor=1",
    f"{_KUBE}.gitMinor=36",
    f"{_KUBE}.buildDate=2026-01-01T00:00:00Z",
)
_CILIUM_MODULE = "github.com/cilium/cilium"
_CILIUM = (f"{_CILIUM_MODULE}/pkg/version.ciliumVersion=1.20.1",)
_CERT_MANAGER = "github.com/cert-manager/cert-manager"
_TRAEFIK = "github.com/traefik/traefik/v3"

# In the order in which they are worth having: each of a family after its first costs seconds.
PRODUCTS: dict[str, Program | Files] = {
    product.name: product
    for product in (
        Program("labkube", "kas", ".", _KUBERNETES),
        Program("kubectl", "kas", "k8s.io/kubernetes/cmd/kubectl", _KUBERNETES),
        Program("kubelet", "kas", "k8s.io/kubernetes/cmd/kubelet", _KUBERNETES),
        Program("labapp", "app", "."),
        Program("cilium-agent", "cilium", f"{_CILIUM_MODULE}/daemon", _CILIUM),
        Program("cilium-cni", "cilium", f"{_CILIUM_MODULE}/plugins/cilium-cni", _CILIUM),
        Program("cilium-dbg", "cilium", f"{_CILIUM_MODULE}/cilium-dbg", _CILIUM),
        Program("cegp", "cilium", "./cegp", _CILIUM),
        Program("hubble", "cilium", f"{_CILIUM_MODULE}/hubble", _CILIUM),
        Files("cilium-bpf", "cilium", _CILIUM_MODULE, "bpf"),
        Files("cilium-crds", "cilium", _CILIUM_MODULE, "pkg/k8s/apis/cilium.io/client/crds"),
        Files("cilium-chart", "cilium", _CILIUM_MODULE, "install/kubernetes/cilium"),
        Program(
            "traefik",
            "traefik",
            f"{_TRAEFIK}/cmd/traefik",
            (f"{_TRAEFIK}/pkg/version.Version=3.6.12",),
        ),
        Program("cert-manager", "certmgr", "."),
        Program("acmesolver", "certmgr", "./acmesolver"),
        Files("cert-manager-crds", "certmgr", _CERT_MANAGER, "deploy/crds"),
        Files("cert-manager-chart", "certmgr", _CERT_MANAGER, "deploy/charts/cert-manager"),
        Program(
            "helm",
            "helm",
            "helm.sh/helm/v4/cmd/helm",
            ("helm.sh/helm/v4/internal/version.version=v4.3.1",),
        ),
    )
}


def binary(name: str) -> Path:
    """
    A program of the cluster, or files that one needs, as it was built on this machine.

    Raises: LabError when it is not built.
    """
    path = place(_product(name))
    if not path.exists():
        raise LabError(
            f"{name} of the lab's cluster is not built as its modules say now: no {path}"
            "\n  fix: loopback lab binaries"
        )
    return path


def key(product: Program | Files, modules: Path = MODULES) -> str:
    """Digest of what a product comes from: its family's files, the Go version, the flags."""
    digest = hashlib.sha256()
    said = [repr(product), " ".join(FLAGS), repr(sorted(_ENVIRONMENT.items())), toolchain().version]
    family = modules / product.family
    for file in sorted(f for f in family.rglob("*") if f.is_file()):
        said += [str(file.relative_to(family)), hashlib.sha256(file.read_bytes()).hexdigest()]
    digest.update("\n".join(said).encode())
    return digest.hexdigest()[:16]


def place(product: Program | Files, modules: Path = MODULES) -> Path:
    """Where a product of these modules stands or would stand."""
    return _root() / f"{product.name}-{key(product, modules)}" / product.name


def build(names: Iterable[str], say: Report, modules: Path = MODULES) -> list[Built]:
    """
    Build what is not there yet, one after the other; several callers wait for each other.

    Go's caches are as big as ten times what they yield, and families share little in them. Unless
    GOMODCACHE and GOCACHE say that they are the caller's, they stand beside it while a family is
    under way and go with its end; an interrupted build goes on where it was.

    Out: one entry for each, in the order of the table.
    Raises: LabError with the module and what was said about it, or the compiler's complaint; what
    was built before stays.
    """
    wanted = {_product(name).name for name in names}
    products = [product for name, product in PRODUCTS.items() if name in wanted]
    done = [Built(p.name, place(p, modules)) for p in products]
    if all(built.path.exists() for built in done):
        return done
    _root().mkdir(parents=True, exist_ok=True)
    with _lock() as work:
        install()
        missing = [(at, p) for at, p in enumerate(products) if not done[at].path.exists()]
        for family, of_family in groupby(missing, lambda each: each[1].family):
            for at, product in of_family:
                say(f"building {product.name} ({family})", at + 1, len(products))
                done[at] = _make(product, done[at].path, work, modules)
            for cache in work.iterdir():
                shutil.rmtree(cache)
        work.rmdir()
    return done


def _product(name: str) -> Program | Files:
    if name not in PRODUCTS:
        raise LabError(f"no program {name!r} in the lab's cluster; there are {', '.join(PRODUCTS)}")
    return PRODUCTS[name]


def _root() -> Path:
    return cache_root() / "cluster"


@contextmanager
def _lock() -> Iterator[Path]:
    """Hold the cache; what a killed build has left half-made goes. Out: Go's own folder."""
    descriptor = os.open(_root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in _root().glob("*.building"):
            shutil.rmtree(left)
        work = _root() / "go-work"
        shutil.rmtree(work / "tmp", ignore_errors=True)
        work.mkdir(exist_ok=True)
        yield work
    finally:
        os.close(descriptor)


def _make(product: Program | Files, path: Path, work: Path, modules: Path) -> Built:
    """Build one product aside and put it in its place whole."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    made = Path(tempfile.mkdtemp(dir=_root(), suffix=".building"))
    try:
        draft, family = made / product.name, modules / product.family
        if isinstance(product, Program):
            linked = " ".join(["-s -w", *(f"-X {stamp}" for stamp in product.stamp)])
            argv = ["build", *FLAGS, "-ldflags", linked, "-o", str(draft), product.package]
            _go(product.name, argv, family, work)
        else:
            _go(product.name, ["mod", "download", product.module], family, work)
            module = _go(
                product.name, ["list", "-m", "-f", "{{.Dir}}", product.module], family, work
            )
            shutil.copytree(Path(module.strip(), product.folder), draft)
        made.chmod(0o755)
        made.rename(path.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Built(product.name, path, time.monotonic() - begun, spent)


def _go(name: str, argv: list[str], family: Path, work: Path) -> str:
    """Run `go` where the modules are. Out: its standard output."""
    caches = {"GOMODCACHE": str(work / "modules"), "GOCACHE": str(work / "objects")}
    environment = caches | os.environ | _ENVIRONMENT | {"GOTMPDIR": str(work / "tmp")}
    (work / "tmp").mkdir(exist_ok=True)
    # killed with us; told to end as Ctrl-C would, it removes what it had under way
    command = ["setpriv", "--pdeathsig", "INT", str(toolchain().program), *argv]
    with subprocess.Popen(
        command,
        cwd=family,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    if process.returncode:
        raise LabError(told(name, err))
    return out
