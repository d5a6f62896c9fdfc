"""Templates to text. No policy stands in a template: it prints what it is given, or fails."""

import json
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

# autoescape is for HTML; these are configuration files, and the model lets no quote or newline in
_TEMPLATES = Environment(  # noqa: S701
    loader=PackageLoader("loopback_iac.render"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    # a fleet renders thousands of files; nobody edits the templates meanwhile
    auto_reload=False,
)


def render_text(template: str, **values: object) -> str:
    """Text of one template.

    In: every name the template prints; a missing one raises.
    Out: lines with LF and a final newline.
    """
    return _TEMPLATES.get_template(f"{template}.j2").render(**values)


def render_json(tree: Mapping[str, object]) -> str:
    """What our own programs read, one value a line: a plan shows which of them differs."""
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"
