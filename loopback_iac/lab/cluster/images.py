"""Container images of one static binary each, as archives: nothing asks a registry."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.paths import cluster_root, write_private

if TYPE_CHECKING:
    from pathlib import Path

# A name with a registry's host in it would be looked up there when it were missing.
_PREFIX = "loopback.invalid/lab/"
_OCI = "application/vnd.oci.image"
_NAMED = "io.containerd.image.name"


@dataclass(frozen=True)
class ContainerImage:
    """An image of one binary, which is its entry point."""

    name: str
    binary: Path
    arguments: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """What a pod says in `image`: the image by the digest of its manifest."""
        archive = self.archive()
        return f"{_PREFIX}{self.name}@{archive.with_suffix('.digest').read_text()}"

    def archive(self) -> Path:
        """
        The image as an OCI archive in the cache, made when it is missing.

        Raises: OSError when the binary is not there.
        """
        folder = cluster_root() / "images"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}-{self._digest()[:12]}.tar"
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}")
            write_private(path.with_suffix(".digest"), self._write(draft), 0o644)
            draft.rename(path)
        return path

    def _digest(self) -> str:
        there = self.binary.stat()
        told = [str(self.binary), there.st_size, there.st_mtime_ns, self.arguments]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def _write(self, path: Path) -> str:
        """Out: digest of the manifest."""
        layer = _layer(self.name, self.binary)
        config = _text(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {
                    "Entrypoint": [f"/{self.name}"],
                    "Cmd": list(self.arguments),
                    "WorkingDir": "/",
                    # nobody: a pod that must not be root needs a number here
                    "User": "65532:65532",
                    "Env": ["PATH=/"],
                },
                "rootfs": {"type": "layers", "diff_ids": [_sha256(layer)]},
            }
        )
        manifest = _text(
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": _described(f"{_OCI}.config.v1+json", config),
                "layers": [_described(f"{_OCI}.layer.v1.tar", layer)],
            }
        )
        listed = _described(f"{_OCI}.manifest.v1+json", manifest) | {
            "annotations": {_NAMED: f"{_PREFIX}{self.name}@{_sha256(manifest)}"},
        }
        with tarfile.open(path, "w") as tar:
            _add(tar, "oci-layout", _text({"imageLayoutVersion": "1.0.0"}))
            _add(tar, "index.json", _text({"schemaVersion": 2, "manifests": [listed]}))
            for blob in (layer, config, manifest):
                _add(tar, f"blobs/sha256/{_sha256(blob).removeprefix('sha256:')}", blob)
        return _sha256(manifest)


def app_image() -> ContainerImage:
    """
    The application, which says who answered whom.

    Raises: LabError when it is not built.
    """
    return ContainerImage("labapp", binary("labapp"))


def pause_image() -> ContainerImage:
    """What holds the namespaces of a pod: the same binary, asked to wait."""
    return ContainerImage("pause", binary("labapp"), ("pause",))


def _layer(name: str, binary: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, name, binary.read_bytes(), 0o755)
        for folder in ("etc", "tmp"):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(made)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/:/none\n")
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _sha256(content), "size": len(content)}


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _text(content: object) -> bytes:
    return json.dumps(content).encode()
