"""One exception for everything a caller can cause or a host can refuse, and the exit codes of the
agent.
"""

from __future__ import annotations

DONE = 0
REFUSED = 1
USAGE = 2


class RefusedError(Exception):
    """What was refused or failed, what to do about it, and (when not `unchanged`) how the host
    stands now.

    `host` is left empty when nothing was changed; the state line is then read from the saved state.
    """

    def __init__(self, what: str, *, fix: str = "", host: str = "", code: int = REFUSED) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.host = host
        self.code = code


def render_refusal(verb: str, refused: RefusedError, standing: str) -> str:
    """The text a person reads on stderr.

    In:  the verb that failed, its refusal, and the standing read from the saved state.
    Out: two or three lines, final newline.
    """
    lines = [f"loopback-agent {verb}: {refused.what.rstrip()}"]
    if refused.fix:
        lines.append(f"  fix: {refused.fix}")
    lines.append(f"  host: {refused.host or 'unchanged, ' + standing}")
    return "\n".join(lines) + "\n"
