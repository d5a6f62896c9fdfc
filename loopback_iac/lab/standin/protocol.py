"""Pulumi's protocol without its SDK, which is half of what a plugin loads and serves no provider.

Imported by a plugin's process before anything else; `pulumi` is a mere folder there from then on.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_found = find_spec("pulumi")
if _found is not None and _found.origin is not None:
    _folder = Path(_found.origin).parent
    for _name, _place in (("pulumi", _folder), ("pulumi.runtime", _folder / "runtime")):
        sys.modules[_name] = ModuleType(_name)
        sys.modules[_name].__path__ = [str(_place)]
