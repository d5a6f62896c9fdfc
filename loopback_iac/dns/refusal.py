"""Why one value of a zone was refused; whoever knows where it stood makes a Problem of it."""

from loopback_iac.model.problem import Problem


class Refusal(ValueError):  # noqa: N818  # named for what happened
    """One value that a zone cannot hold: rule, what came, what is needed, how to mend it."""

    def __init__(self, rule: str, got: str, need: str, fix: str) -> None:
        super().__init__(f"{got}; expected {need}")
        self.rule, self.got, self.need, self.fix = rule, got, need, fix

    def at(self, path: str, place: str = "") -> Problem:
        """The same as a Problem, with where it stood."""
        return Problem(path, self.got, self.need, self.fix, self.rule, place)


def shown(text: str, limit: int = 60) -> str:
    """What a user wrote, quoted, and cut where it is long."""
    quoted = repr(text[:limit])
    return quoted if len(text) <= limit else f"{quoted}... ({len(text)} characters)"
