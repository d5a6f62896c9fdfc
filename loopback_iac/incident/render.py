"""A draft as text for people, by a template that anybody may swap."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)
from jinja2.sandbox import SandboxedEnvironment

from loopback_iac.incident.fields import amount_text
from loopback_iac.incident.law import Stage
from loopback_iac.model.problem import InputRejected, Problem

# what Markdown gives a meaning within a line or a table; `&` begins an entity, and an underscore
# within a word begins nothing
_SPECIAL = re.compile(r"[\\`*\[\]<>|&#~]|(?<![^\W_])_|_(?![^\W_])")


@dataclass(frozen=True)
class Page:
    """A draft in Markdown, and the template that made it."""

    text: str
    template: str
    sha256: str
    """Of the template itself, without what it includes."""


def template_name(stage: Stage) -> str:
    """The file that a folder of templates has to hold for a stage."""
    return f"{stage}.md.j2"


def render_page(tree: Mapping[str, Any], folder: Path | None = None) -> Page:
    """Text of one draft.

    In: `tree` of `make_draft`; `folder`: templates to take before those that come with us.
    Raises: InputRejected, when the folder has no such template or it prints what there is not.
    """
    name = template_name(tree["stage"])
    title = str(folder / name) if folder else name
    if folder is not None and not (folder / name).is_file():
        fix = f"put {name} there; the ones that come with us are printed by --show-template"
        raise InputRejected(title, (Problem(title, "is not there", name, fix, "template-missing"),))
    try:
        source, _, _ = _loader(folder).get_source(_environment(folder), name)
        text = _environment(folder).get_template(name).render(_escaped(tree))
    except (TemplateError, OSError, ValueError, TypeError, ArithmeticError) as cause:
        where = f"line {cause.lineno}: " if isinstance(cause, TemplateSyntaxError) else ""
        got = f"{where}{' '.join(str(cause).split())}"
        fix = "print what the draft's JSON has; `told` prints amounts, moments and lists"
        problem = Problem(title, got, "a template of Jinja2", fix, "template-fails")
        raise InputRejected(title, (problem,)) from None
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Page(text if text.endswith("\n") else f"{text}\n", name, digest)


def shipped_template(stage: Stage) -> str:
    """The template of a stage as it comes with us."""
    source, _, _ = _loader(None).get_source(_environment(None), template_name(stage))
    return source


def render_json(tree: Mapping[str, Any]) -> str:
    """The same bytes for the same draft."""
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _loader(folder: Path | None) -> BaseLoader:
    ours = PackageLoader("loopback_iac.incident")
    return ChoiceLoader([FileSystemLoader(folder), ours]) if folder else ours


def _environment(folder: Path | None) -> SandboxedEnvironment:
    # Markdown, not HTML: every text is escaped before a template sees it
    found = SandboxedEnvironment(
        loader=_loader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["told"] = _told
    return found


def _told(value: object) -> str:
    """An amount, a moment, a list, an answer: in words."""
    if isinstance(value, Mapping) and "utc" in value:
        return f"{value['utc']} ({value['local']})"
    if isinstance(value, list):
        return "; ".join(map(_told, value)) if value else "none"
    return amount_text(value)


def _escaped(value: Any) -> Any:  # noqa: ANN401  # a tree of JSON
    """What somebody wrote stays what he wrote: no text makes a table, a link or a tag."""
    if isinstance(value, str):
        shown = (each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in value)
        return _SPECIAL.sub(r"\\\g<0>", "".join(shown))
    if isinstance(value, Mapping):
        return {name: _escaped(each) for name, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value
