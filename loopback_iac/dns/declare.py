"""A zone as a program declares it: a plain mapping in, a Zone or every problem out.

    {"name": "example.net", "default_ttl_s": 3600, "records": {
        "@":   {"MX": ["10 mail"], "TXT": ["v=spf1 mx -all"]},
        "www": {"A": {"ttl_s": 300, "values": ["192.0.2.1", "192.0.2.2"]}}}}

Values are presentation form, names in them relative to the zone or absolute with a final dot. A TXT
value without quotes is the text itself, whatever is in it; one that begins with a quote is strings
as a zone file has them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from loopback_iac.dns import names, rdata
from loopback_iac.dns.refusal import Refusal
from loopback_iac.dns.zone import DEFAULT_TTL_S, Key, Zone, check_ttl, make_zone
from loopback_iac.model.fields import Int, Value, described, refuse
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain


def _ttl_field(ttl_s: int) -> int:
    try:
        return check_ttl(ttl_s)
    except Refusal as cause:
        refuse(cause.rule, cause.got, cause.need, cause.fix)


class _Head(Value):
    """What stands beside the records."""

    name: str
    default_ttl_s: Annotated[Int, AfterValidator(_ttl_field)] = DEFAULT_TTL_S
    records: bool
    """Whether they are there."""


class _Set(Value):
    """One RRset in its long form."""

    values: Any
    ttl_s: Annotated[Int, AfterValidator(_ttl_field)] | None = None


@dataclass
class _Reading:
    """The records read so far, and everything that is wrong with the others."""

    origin: str
    default_ttl_s: int
    problems: list[Problem]
    found: dict[Key, tuple[int, list[bytes]]] = field(default_factory=dict)

    def read_owner(self, owner: str, types: object, written: dict[str, str]) -> None:
        """All records of one name; `written` has the path of each name seen."""
        path = f"records.{owner}"
        try:
            name = names.owner_name(owner, self.origin)
        except Refusal as cause:
            self.problems.append(cause.at(path))
            return
        if name in written:
            self.problems.append(_twice(path, name, written[name]))
        elif not isinstance(types, Mapping):
            self.problems.append(_wrong(path, types, "a map from types to values"))
        else:
            for kind, entry in types.items():
                self.read_set(f"{path}.{kind}", name, str(kind), entry)
        written.setdefault(name, path)

    def read_set(self, path: str, name: str, written: str, entry: object) -> None:
        """One RRset."""
        try:
            kind = rdata.parse_type(written)
        except Refusal as cause:
            self.problems.append(cause.at(path))
            return
        if (name, kind) in self.found:
            got = f"{kind} is declared twice for this name"
            fix = "put all values under one of them"
            self.problems.append(Problem(path, got, "", fix, "type-twice"))
            return
        ttl_s, where, values = self._opened(path, entry)
        if values is None and isinstance(entry, Mapping):
            return
        data: list[bytes] = []
        for here, value in _placed(where, values):
            if not isinstance(value, str):
                self.problems.append(_wrong(here, value, "a string"))
                continue
            try:
                data.append(parse_value(kind, value, self.origin))
            except Refusal as cause:
                self.problems.append(cause.at(here))
        if not values and not isinstance(values, str):
            need, fix = "at least one value", "write a value, or remove the type"
            self.problems.append(Problem(path, "holds nothing", need, fix, "rrset-empty"))
        self.found[name, kind] = (ttl_s, data)

    def _opened(self, path: str, entry: object) -> tuple[int, str, object]:
        """TTL, path and values of what a user wrote for one type."""
        if not isinstance(entry, Mapping):
            return self.default_ttl_s, path, entry
        held = collect(_Set, path, plain(entry), self.problems)
        if held is None:
            return self.default_ttl_s, path, None
        ttl_s = self.default_ttl_s if held.ttl_s is None else held.ttl_s
        return ttl_s, f"{path}.values", held.values


def parse_zone(title: str, tree: Mapping[str, object]) -> Zone:
    """A zone as declared.

    In: `title` names it in refusals; the tree: name, records (owner -> type -> a value, values, or
        a map of ttl_s and values), default_ttl_s (3600 s).
    Raises: InputRejected with every problem at once.
    Sources: RFC 1035 5.1, RFC 2181 5 and 8, RFC 5891.
    """
    problems: list[Problem] = []
    # `plain` copies: not the records, of which there may be a hundred thousand
    head = collect(_Head, "", _head(tree), problems)
    origin = _origin(tree.get("name"), problems)
    if origin is not None and "records" in tree:
        ttl_s = DEFAULT_TTL_S if head is None else head.default_ttl_s
        reading = _Reading(origin, ttl_s, problems)
        written: dict[str, str] = {}
        for owner, types in _records(tree, problems):
            reading.read_owner(owner, types, written)
        if not problems:
            return make_zone(origin, ttl_s, reading.found)
    raise InputRejected(title, tuple(problems))


def parse_value(kind: str, text: str, origin: str) -> bytes:
    """One value as it is declared: presentation form, but TXT may be the bare text.

    Raises: Refusal.
    """
    if "\0" in text:
        raise Refusal(
            "control-character",
            "a NUL character",
            "text",
            "remove it; an octet 0 in a string is written \\000",
        )
    if kind == "TXT" and not text.startswith('"'):
        return rdata.text_rdata(text)
    return rdata.parse_rdata(kind, text, origin)


def _head(tree: Mapping[str, object]) -> dict[str, object]:
    rest = plain({key: value for key, value in tree.items() if key != "records"})
    assert isinstance(rest, dict)  # noqa: S101  # a map stays a map
    return rest | {"records": True} if "records" in tree else rest


def _records(tree: Mapping[str, object], problems: list[Problem]) -> Iterator[tuple[str, object]]:
    records = tree["records"]
    if isinstance(records, Mapping):
        yield from ((str(owner), types) for owner, types in records.items())
    else:
        problems.append(_wrong("records", records, "a map from names to types"))


def _origin(name: object, problems: list[Problem]) -> str | None:
    if not isinstance(name, str):
        return None
    try:
        return names.parse_zone_name(name)
    except Refusal as cause:
        problems.append(cause.at("name"))
        return None


def _placed(path: str, values: object) -> Iterator[tuple[str, object]]:
    if isinstance(values, list | tuple):
        yield from ((f"{path}[{at}]", value) for at, value in enumerate(values))
    else:
        yield path, values


def _wrong(path: str, value: object, need: str) -> Problem:
    return Problem(path, described(value), need, f"write {need}", "field-type")


def _twice(path: str, name: str, first: str) -> Problem:
    return Problem(
        path,
        f"{name} is declared by {first} already",
        "each name once",
        "put all its types under one of them",
        "name-twice",
    )
