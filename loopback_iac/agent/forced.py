"""The forced command of the deploy key: exactly the commands of the library, nothing else.

The enroll text carries its own bootstrap; that program is not run: this agent does the same with
the JSON on stdin.
"""

from __future__ import annotations

import re
import shlex

from .refusal import USAGE, RefusedError
from .state import AGENT

_WORDS = {
    "host": re.compile(r"host=[a-z0-9][a-z0-9.-]{0,62}"),
    "instance": re.compile(r"instance=[A-Za-z0-9._:/@+-]{0,128}"),
    "digest": re.compile(r"digest=[0-9a-f]{12,128}"),
}
_VERBS = {
    "enroll": ("host", "instance", "digest"),
    "apply": ("host", "instance", "digest"),
    "confirm": ("host", "instance", "digest"),
    "release": ("host", "instance", "digest"),
    "report": (),
    "rollback": (),
    "undrain": (),
}
_SECONDS = re.compile(r"[0-9]{1,4}")
_BLACKHOLE = (re.compile(r"add|remove"), re.compile(r"[0-9a-fA-F:.]{2,45}"))


def parse_forced(command: str) -> list[str]:
    """SSH_ORIGINAL_COMMAND as words for this agent.

    Out: verb and arguments.
    Raises: RefusedError for everything the library does not say.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if words[:3] == ["python3", "-I", "-c"] and words[4:5] == ["enroll"]:
        words = words[4:]
    elif words[:1] == [AGENT] and words[1:2] != ["enroll"]:
        words = words[1:]
    else:
        words = []
    verb, arguments = (words[0], words[1:]) if words else ("", [])
    if (
        verb in ("drain", "update")
        and len(arguments) <= 1
        and all(map(_SECONDS.fullmatch, arguments))
    ):
        return words
    if (
        verb == "blackhole"
        and len(arguments) == len(_BLACKHOLE)
        and all(p.fullmatch(w) for p, w in zip(_BLACKHOLE, arguments, strict=True))
    ):
        return words
    shape = _VERBS.get(verb)
    if verb == "release" and len(arguments) == 2:
        shape = ("host", "digest")
    if (
        shape is None
        or len(arguments) != len(shape)
        or not all(
            _WORDS[name].fullmatch(word) for name, word in zip(shape, arguments, strict=True)
        )
    ):
        raise RefusedError(
            "this is the fleet's deploy key; it runs the commands of the library only. To undo: log"
            " in with another key and take the command= option off its line in"
            " ~/.ssh/authorized_keys",
            code=USAGE,
            host="unchanged",
        )
    return words
