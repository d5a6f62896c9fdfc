"""What a host gets: files as deployed, the marks in them, the packages they need."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARK = re.compile(r"@\{secret:([A-Za-z0-9_.-]+)\}")


@dataclass(frozen=True)
class File:
    """One file as deployed; secrets stand in it as marks."""

    text: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class HostFiles:
    """All files of one host, sorted by path."""

    files: Mapping[str, File]
    packages: tuple[str, ...]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the marks in the files, sorted."""
        return tuple(sorted({n for file in self.files.values() for n in MARK.findall(file.text)}))

    def as_json(self) -> dict[str, dict[str, str]]:
        """Path to text, mode, owner and group, as a bundle carries them."""
        return {
            path: {"text": f.text, "mode": f.mode, "owner": f.owner, "group": f.group}
            for path, f in self.files.items()
        }


def secret_mark(name: str) -> str:
    """The mark that stands for a secret in a rendered file."""
    return f"@{{secret:{name}}}"
