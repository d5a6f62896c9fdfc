"""Templates of the lab's own hosts; an unknown name in one is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent / "templates"
_ENVIRONMENT = Environment(  # noqa: S701 -- configuration of daemons, not HTML
    loader=FileSystemLoader(_FOLDER),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: object) -> str:
    """Out: the template's text with these values."""
    return _ENVIRONMENT.get_template(template).render(**values)


def read(name: str) -> str:
    """Out: a file that is used as it stands."""
    return (_FOLDER / name).read_text()
