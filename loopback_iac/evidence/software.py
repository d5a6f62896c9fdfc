"""Which software deploys: every package of the environment that records."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from typing import Any


def installed_software() -> dict[str, Any]:
    """
    Packages beside the library, as they are installed; what only tests use is told with them.

    Out: `python` and `packages` by name, in the one spelling of PEP 503.
    """
    found: dict[str, str] = {}
    for each in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", str(each.metadata["Name"])).lower()
        found.setdefault(name, each.version)
    return {
        "python": platform.python_version(),
        "packages": [{"name": name, "version": found[name]} for name in sorted(found)],
    }
