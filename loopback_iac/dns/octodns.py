"""octoDNS YAML <-> Zone; what either side cannot hold is refused by name, never dropped.

octoDNS has no SOA (its operators make one): it is left out of what is written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from loopback_iac.dns import names, rdata
from loopback_iac.dns.octodns_shapes import holds, read_value, write_value
from loopback_iac.dns.refusal import Refusal
from loopback_iac.dns.zone import DEFAULT_TTL_S, Key, Zone, check_ttl, make_zone
from loopback_iac.dns.zonefile import ReadZone
from loopback_iac.model.fields import described
from loopback_iac.model.problem import InputRejected, Problem

KEYS = frozenset({"type", "ttl", "value", "values"})
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
Record = dict[str, object]


def parse_octodns(
    text: str, zone: str, *, title: str = "octoDNS", default_ttl_s: int = DEFAULT_TTL_S
) -> Zone:
    """The zone that octoDNS YAML describes; arguments and refusals as `read_octodns`."""
    return read_octodns(text, zone, title=title, default_ttl_s=default_ttl_s).zone


def read_octodns(
    text: str, zone: str, *, title: str = "octoDNS", default_ttl_s: int = DEFAULT_TTL_S
) -> ReadZone:
    """octoDNS YAML with the places of its records.

    In: the zone's name (octoDNS takes it from the file's); `default_ttl_s` is its YamlProvider's
        3600 s; semicolons in TXT may be escaped, as by its `escaped_semicolons`.
    Raises: InputRejected with every problem at once.
    Sources: octoDNS 1.22, octodns/provider/yaml.py and octodns/record.
    """
    try:
        origin = names.parse_zone_name(zone)
    except Refusal as cause:
        raise InputRejected(title, (cause.at("zone"),)) from None
    reading = _Reading(title, origin, default_ttl_s)
    for owner, records in _entries(title, text, reading.problems):
        for at, (line, record) in enumerate(records):
            path = (owner or "''") + (f"[{at}]" if len(records) > 1 else "")
            reading.read_record(path, line, owner, record)
    if reading.problems:
        raise InputRejected(title, tuple(reading.problems))
    return ReadZone(make_zone(origin, default_ttl_s, reading.found), reading.places)


def _entries(
    title: str, text: str, problems: list[Problem]
) -> Iterator[tuple[str, list[tuple[int, object]]]]:
    """Each name with its records and their lines."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    except (yaml.YAMLError, ValueError) as cause:
        problems.append(_unreadable(title, cause))
        return
    finally:
        loader.dispose()
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        need, fix = "a map from names to records", "write one as octoDNS has it"
        problems.append(Problem(title, "no map", need, fix, "octodns-syntax", f"{title}:1"))
        return
    for key, value in root.value:
        several = isinstance(value, yaml.SequenceNode)
        records: list[tuple[int, object]] = []
        for node in value.value if several else [value]:
            line = (node if several else key).start_mark.line + 1
            try:
                records.append((line, loader.construct_object(node, deep=True)))
            except (yaml.YAMLError, ValueError) as cause:
                problems.append(_unreadable(title, cause))
        yield str(key.value), records


def _unreadable(title: str, cause: Exception) -> Problem:
    mark = getattr(cause, "problem_mark", None)
    got = str(getattr(cause, "problem", None) or cause)
    place = f"{title}:{mark.line + 1}" if mark else title
    fix = "correct the line; tags such as !include are read by octoDNS alone"
    return Problem(title, got, "YAML", fix, "octodns-syntax", place)


@dataclass
class _Reading:
    """The records read so far, and what is wrong with the others."""

    title: str
    origin: str
    default_ttl_s: int
    problems: list[Problem] = field(default_factory=list)
    found: dict[Key, tuple[int, list[bytes]]] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)

    def read_record(self, path: str, line: int, owner: str, record: object) -> None:
        """One record of octoDNS, which is an RRset."""
        place = f"{self.title}:{line}"
        try:
            name = names.owner_name(owner or "@", self.origin)
            if not isinstance(record, dict):
                fix = "write type, ttl and values"
                raise Refusal("field-type", described(record), "a map", fix)  # noqa: TRY301  # below
            for got, fix in _foreign(record):
                need = "what a zone holds"
                self.problems.append(Problem(path, got, need, fix, "octodns-key", place))
            key = (name, _type(record))
            ttl_s, values = _held(record, self.default_ttl_s)
        except Refusal as cause:
            self.problems.append(cause.at(path, place))
            return
        if key in self.found:
            got, fix = f"{key[1]} stands at {self.places[key]} already", "join their values"
            self.problems.append(Problem(path, got, "", fix, "type-twice", place))
            return
        data: list[bytes] = []
        for at, value in enumerate(values):
            try:
                read = read_value(key[1], value)
                data.append(
                    read if isinstance(read, bytes) else rdata.parse_rdata(key[1], read, ".")
                )
            except Refusal as cause:
                self.problems.append(cause.at(f"{path}.values[{at}]", place))
        self.found[key], self.places[key] = (ttl_s, data), place


def _type(record: Record) -> str:
    if "type" not in record:
        raise Refusal("field-missing", "type is missing", "", "add type")
    kind = rdata.parse_type(str(record["type"]))
    if not holds(kind):
        got, fix = f"{kind} is no type of octoDNS", "declare it in a program"
        raise Refusal("octodns-type", got, "", fix)
    return kind


def _held(record: Record, default_ttl_s: int) -> tuple[int, list[object]]:
    """TTL and values of a record."""
    ttl = record.get("ttl", default_ttl_s)
    if not isinstance(ttl, int) or isinstance(ttl, bool):
        raise Refusal("field-type", f"ttl: {described(ttl)}", "a whole number", "write seconds")
    values = record.get("values", record.get("value"))
    if values is None or values == []:
        raise Refusal("rrset-empty", "holds nothing", "value or values", "add one, or remove it")
    return check_ttl(ttl), list(values) if isinstance(values, list) else [values]


def _foreign(record: Record) -> Iterator[tuple[str, str]]:
    """Keys that say something about a provider's answers, not about the zone."""
    settings = record.get("octodns")
    if isinstance(settings, dict):
        for key in sorted(map(str, settings)):
            fix = "remove it; what operators hold of a zone is declared with the operator"
            yield f"octodns.{key} is a setting of octoDNS or of a provider", fix
    for key in sorted(map(str, record.keys() - KEYS - {"octodns"})):
        if key in ("dynamic", "geo"):
            fix = "remove it; a zone that several operators serve answers alike everywhere"
            yield f"{key} answers differently by place or health", fix
        else:
            yield f"{key} is no key of a record", "remove it"


def check_octodns(zone: Zone) -> tuple[Problem, ...]:
    """What octoDNS cannot hold of a zone; the SOA aside, which it never has."""
    return tuple(_written(zone)[1])


def render_octodns(zone: Zone) -> str:
    """The zone as octoDNS YAML, its keys in the order that octoDNS enforces.

    Raises: InputRejected with what `check_octodns` finds: nothing is left out silently.
    """
    records, problems = _written(zone)
    if problems:
        raise InputRejected(f"{zone.name} as octoDNS YAML", tuple(problems))
    tree: dict[str, object] = {}
    for owner in sorted(records, key=_natural):
        found = records[owner]
        tree[owner] = found[0] if len(found) == 1 else found
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=False)
    return f"---\n{text}"


def _written(zone: Zone) -> tuple[dict[str, list[Record]], list[Problem]]:
    records: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    for rrset in zone.rrsets:
        if rrset.type == "SOA":
            continue
        path = f"{rrset.owner} {rrset.type}"
        try:
            if not holds(rrset.type):
                fix = "keep it out of what octoDNS holds"
                got = f"{rrset.type} is no type of octoDNS"
                raise Refusal("octodns-type", got, "", fix)  # noqa: TRY301  # collected below
            values = [_sorted(write_value(rrset.type, wire)) for wire in rrset.rdata]
        except Refusal as cause:
            problems.append(cause.at(path))
            continue
        owner = names.relative(rrset.owner, zone.name)
        record: Record = {} if rrset.ttl_s == DEFAULT_TTL_S else {"ttl": rrset.ttl_s}
        record["type"] = rrset.type
        record |= {"value": values[0]} if len(values) == 1 else {"values": values}
        records.setdefault("" if owner == "@" else owner, []).append(record)
    return records, problems


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=_natural)}
    return value


def _natural(text: str) -> list[str | int]:
    """octoDNS refuses keys out of this order: numbers within names count as numbers."""
    parts = re.split(r"([0-9]+)", text)
    found: list[str | int] = [int(p) if at % 2 else p for at, p in enumerate(parts)]
    return found[:-1] if found[-1] == "" else found
