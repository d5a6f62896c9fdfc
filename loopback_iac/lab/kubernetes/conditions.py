"""What a program says itself about readiness: the annotation `pulumi.com/waitFor`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jsonpath

from loopback_iac.lab.kubernetes.cluster import Object, get_in
from loopback_iac.lab.kubernetes.readiness import Verdict, condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.lab.kubernetes.readiness import Readiness

_PATHS = jsonpath.JSONPathEnvironment(strict=True)


class ExpressionError(Exception):
    """An annotation that says nothing that could be waited for."""


@dataclass(frozen=True)
class ConditionReadiness:
    """
    One of `status.conditions` has a status, for the generation that was asked for.

    Sources: pulumi-kubernetes provider/pkg/await/condition/kubectl.go.
    """

    kind: str
    wanted: str
    plain = True

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        rows = get_in(live, ("status", "conditions"))
        if rows is None:
            return Verdict(ready=False, status="Has no .status.conditions")
        named = (row["type"] for row in rows if row["type"].lower() == self.kind.lower())
        found = condition(live, next(named, ""))
        generation = get_in(live, ("metadata", "generation"), 0)
        seen = found.get("observedGeneration", get_in(live, ("status", "observedGeneration")))
        if found and seen is not None and seen < generation:
            text = f"Generation {seen} is less than expected {generation}"
            return Verdict(ready=False, status=text)
        status = str(found.get("status", ""))
        if found and status.lower() == self.wanted.lower():
            return Verdict(ready=True)
        text = f"Resource has condition {self.kind}={status} (want {self.wanted})"
        return Verdict(ready=False, status=text if found else "Waiting for readiness")


@dataclass(frozen=True)
class PathReadiness:
    """
    Something stands at a path, or a certain text does.

    Sources: pulumi-kubernetes provider/pkg/await/condition/jsonpath.go, provider/pkg/jsonpath.
    """

    path: str
    wanted: str
    query: jsonpath.JSONPath | jsonpath.CompoundJSONPath
    plain = True

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        generation = get_in(live, ("metadata", "generation"))
        seen = get_in(live, ("status", "observedGeneration"))
        if generation is not None and seen is not None and seen < generation:
            return Verdict(ready=False, status="Waiting for readiness")
        found = self.query.findall(live)
        if not found:
            return Verdict(ready=False, status=f"{self.path} selected nothing")
        if not self.wanted:
            return Verdict(ready=True)
        text = json.dumps(found[0]) if isinstance(found[0], (bool, type(None))) else str(found[0])
        if isinstance(found[0], (dict, list)):
            reason = f'"{self.path}" has a non-primitive value ({text})'
            return Verdict(ready=False, status=reason, reasons=[reason], failed=True)
        asked = f"{self.path}={self.wanted}"
        return Verdict(text == self.wanted, f'Waiting for {asked} (found "{text}")')


@dataclass(frozen=True)
class AllReadiness:
    """Every one of several."""

    each: Sequence[Readiness]
    plain = True

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        verdicts = (one.look(live) for one in self.each)
        return next((found for found in verdicts if not found.ready), Verdict(ready=True))


def parse_conditions(text: str) -> Readiness:
    """
    In: text, one expression or a JSON array of them.

    Raises: ExpressionError.
    Sources: pulumi-kubernetes provider/pkg/metadata/overrides.go ReadyCondition.
    """
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    expressions = listed if isinstance(listed, list) else [text]
    if not expressions:
        raise ExpressionError("at least one condition must be specified")
    found = [_parse(str(expression)) for expression in expressions]
    return found[0] if len(found) == 1 else AllReadiness(found)


def _parse(expression: str) -> Readiness:
    how, _, rest = expression.partition("=")
    if how == "condition" and rest:
        kind, _, wanted = rest.partition("=")
        return ConditionReadiness(kind, wanted or "True")
    if how == "jsonpath" and rest:
        return _parse_path(rest)
    raise ExpressionError(f'expected a "jsonpath=" or "condition=" prefix, got "{expression}"')


def _parse_path(text: str) -> PathReadiness:
    # `==` is part of a filter, `=` comes before the value
    parts = text.replace("==", "\0").split("=")
    path, *rest = (part.replace("\0", "==") for part in parts)
    if len(rest) > 1:
        raise ExpressionError(f'format should be {{.path}}=value or {{.path}}, got "{text}"')
    if rest == [""]:
        raise ExpressionError(f"{path}= requires a value")
    if path.startswith("'") and path.endswith("'"):
        raise ExpressionError(f"{path} should omit shell quotes")
    inner = path.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise ExpressionError(f"{path} should be wrapped in brackets {{ ... }}")
    inner = inner[1:-1].strip()
    try:
        query = _PATHS.compile(inner if inner.startswith("$") else f"${inner}")
    except jsonpath.JSONPathError as error:
        raise ExpressionError(f'parsing "{path}": {error}') from error
    return PathReadiness(path, rest[0] if rest else "", query)
