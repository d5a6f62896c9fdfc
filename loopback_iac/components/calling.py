"""Commands on this machine that call this library: for what no provider has a resource.

The program is named, not its place, so the state is the same wherever a team runs it. What it needs
to know comes on standard input: a token is in no argument and in no environment.
"""

_ABSENT = "loopback is not on PATH; fix: activate the virtual environment of the program"


def own_program(words: str) -> str:
    """The command `loopback WORDS`, which says what to do where there is no such program."""
    there = "command -v loopback >/dev/null"
    return f"{there} || {{ echo '{_ABSENT}' >&2; exit 127; }}; loopback {words}"
