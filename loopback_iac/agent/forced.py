"""The forced command of the deploy key: exactly the commands of the library, nothing else.

The enroll text carries its own bootstrap; that program is not run: this agent does the same with
the JSON on stdin.
"""

from __future__ import annotations

import re
import shlex

from .refusal import USAGE, RefusedError
from .state import AGENT

_HOST = re.compile(r"host=[a-z0-9][a-z0-9.-]{0,62}")
_INSTANCE = re.compile(r"instance=[A-Za-z0-9._:/@+-]{0,128}")
_DIGEST = re.compile(r"digest=[0-9a-f]{12,128}")
_SECONDS = re.compile(r"[0-9]{1,4}")
_MEMBER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NODE = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{2,45}")
# The arguments a verb may have, word by word; any of its shapes will do.
_SHAPES: dict[str, tuple[tuple[re.Pattern[str], ...], ...]] = {
    "enroll": ((_HOST, _INSTANCE, _DIGEST),),
    "apply": ((_HOST, _INSTANCE, _DIGEST),),
    "confirm": ((_HOST, _INSTANCE, _DIGEST),),
    "release": ((_HOST, _INSTANCE, _DIGEST), (_HOST, _DIGEST)),
    "report": ((),),
    "back-up": ((),),
    "backup-keys": ((),),
    "restore-keys": ((),),
    "rollback": ((),),
    "drain": ((), (_SECONDS,)),
    "undrain": ((),),
    "update": ((), (_SECONDS,)),
    "hand-over": ((_MEMBER,), (_MEMBER, _NODE)),
    "blackhole": ((re.compile(r"add|remove"), _ADDRESS),),
}


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
    if not any(_fits(words[1:], shape) for shape in _SHAPES.get(words[0] if words else "", ())):
        raise RefusedError(
            "this is the fleet's deploy key; it runs the commands of the library only. To undo: log"
            " in with another key and take the command= option off its line in"
            " ~/.ssh/authorized_keys",
            code=USAGE,
            host="unchanged",
        )
    return words


def _fits(arguments: list[str], shape: tuple[re.Pattern[str], ...]) -> bool:
    return len(arguments) == len(shape) and all(
        pattern.fullmatch(word) for pattern, word in zip(shape, arguments, strict=True)
    )
