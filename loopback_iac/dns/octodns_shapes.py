"""What octoDNS means by the values of each type: its maps <-> presentation form.

Texts within quotes are octoDNS's own: it puts them between quotes as they are, so escapes in them
are presentation form. TXT is another matter: its texts are raw, but for semicolons, which it writes
as \\; in YAML.

Sources: octoDNS 1.22, octodns/record/*.py (`_schema`, `to_rdata_text`, `process`).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dns.rdtypes.ANY.LOC import LOC
from dns.rdtypes.svcbbase import SVCBBase

from loopback_iac.dns import names
from loopback_iac.dns.rdata import TARGETS, opened, render_rdata, strings, text_rdata
from loopback_iac.dns.refusal import Refusal, shown
from loopback_iac.model.fields import described

TEXTS = frozenset({"SPF", "TXT"})
PLAIN = frozenset({"A", "AAAA", "OPENPGPKEY"})
SVC_KEYS = frozenset(
    {"alpn", "ech", "ipv4hint", "ipv6hint", "mandatory", "no-default-alpn", "port"}
)
SVC_LISTS = frozenset({"alpn", "ipv4hint", "ipv6hint", "mandatory"})


class Part(NamedTuple):
    """One field of a map: its name, the older name, its form, and what stands for nothing."""

    name: str
    form: str
    older: str = ""
    default: object = None


SHAPES: dict[str, tuple[Part, ...]] = {
    "CAA": (Part("flags", "int", default=0), Part("tag", "word"), Part("value", "text")),
    "DS": (
        Part("key_tag", "int"),
        Part("algorithm", "int"),
        Part("digest_type", "int"),
        Part("digest", "hex"),
    ),
    "MX": (Part("preference", "int", "priority"), Part("exchange", "name", "value")),
    "NAPTR": (
        Part("order", "int"),
        Part("preference", "int"),
        Part("flags", "text"),
        Part("service", "text"),
        Part("regexp", "text"),
        Part("replacement", "name"),
    ),
    "SRV": (
        Part("priority", "int"),
        Part("weight", "int"),
        Part("port", "int"),
        Part("target", "name"),
    ),
    "SSHFP": (
        Part("algorithm", "int"),
        Part("fingerprint_type", "int"),
        Part("fingerprint", "hex"),
    ),
    "TLSA": (
        Part("certificate_usage", "int", default=0),
        Part("selector", "int", default=0),
        Part("matching_type", "int", default=0),
        Part("certificate_association_data", "hex"),
    ),
    "URI": (Part("priority", "int"), Part("weight", "int"), Part("target", "text")),
}
_OLD_DS = {
    "flags": "key_tag",
    "protocol": "algorithm",
    "algorithm": "digest_type",
    "public_key": "digest",
}
_LOC = ("degrees", "minutes", "seconds", "direction")
_LOC_SIZES = ("altitude", "size", "precision_horz", "precision_vert")


def holds(kind: str) -> bool:
    """Whether octoDNS has a type."""
    return kind in SHAPES or kind in TEXTS | PLAIN | TARGETS | {"LOC", "HTTPS", "SVCB"}


def read_value(kind: str, value: object) -> str | bytes:
    """One value of octoDNS as presentation form, or as octets for texts.

    Raises: Refusal.
    """
    if kind in TEXTS:
        return _read_text(_string(kind, value))
    if kind in TARGETS:
        return _absolute(_string(kind, value))
    if kind in PLAIN:
        return _string(kind, value)
    if not isinstance(value, Mapping):
        raise Refusal("field-type", described(value), f"a map, as {kind} has it", "write a map")
    if kind == "LOC":
        return _read_loc(value)
    if kind in ("HTTPS", "SVCB"):
        return _read_svcb(value)
    if kind == "DS" and "public_key" in value:  # names of before octoDNS 1.0
        value = {new: value[old] for old, new in _OLD_DS.items() if old in value}
    _known(kind, value, {name for part in SHAPES[kind] for name in (part.name, part.older)})
    return " ".join(_read_part(kind, part, value) for part in SHAPES[kind])


def write_value(kind: str, wire: bytes) -> object:
    """One record as octoDNS writes it.

    Raises: Refusal for what it cannot hold.
    """
    if kind in TEXTS:
        return _write_text(wire)
    if kind == "LOC":
        return _write_loc(wire)
    if kind in ("HTTPS", "SVCB"):
        return _write_svcb(kind, wire)
    text = render_rdata(kind, wire)
    if kind in TARGETS or kind in PLAIN:
        return text.replace(" ", "") if kind == "OPENPGPKEY" else text
    return _write_parts(kind, text)


def _string(kind: str, value: object) -> str:
    if not isinstance(value, str):
        fix = "write it between quotes"
        raise Refusal("field-type", f"{described(value)} for {kind}", "a string", fix)
    return value


def _absolute(name: str) -> str:
    if not name.endswith("."):
        raise Refusal(
            "octodns-target-relative",
            f"{shown(name)} has no final dot",
            "an absolute name, as octoDNS demands",
            "add the final dot",
        )
    return name


def _known(kind: str, value: Mapping[str, object], known: set[str]) -> None:
    unknown = sorted(str(key) for key in value.keys() - known)
    if unknown:
        got = f"{', '.join(unknown)} in a value of {kind}"
        need = ", ".join(sorted(known - {""}))
        raise Refusal("octodns-field-unknown", got, need, "remove it, or correct its name")


def _read_part(kind: str, part: Part, value: Mapping[str, object]) -> str:
    found = value.get(part.name, value.get(part.older, part.default))
    if found is None:
        got = f"{part.name} is missing in a value of {kind}"
        raise Refusal("field-missing", got, "", f"add {part.name}")
    if part.form == "int":
        return str(_integer(part.name, found))
    text = _string(f"{kind}.{part.name}", found)
    match part.form:
        case "name":
            return _absolute(text)
        case "text":
            return f'"{text}"'
        case _:
            return text


def _integer(name: str, value: object) -> int:
    if isinstance(value, str) and value.isdecimal():  # octoDNS takes both
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        got = f"{name}: {described(value)}"
        raise Refusal("field-type", got, "a whole number", "write a whole number")
    return value


def _read_text(value: str) -> bytes:
    if value.startswith('"'):
        value = value[1:-1]
    return text_rdata(value.replace('" "', "").replace("\\;", ";"))


def _write_text(wire: bytes) -> str:
    parts = strings(wire)
    need = "text of ASCII in strings filled to 255 octets"
    try:
        text = b"".join(parts).decode("ascii")
    except UnicodeDecodeError:
        fix = "keep this record out of what octoDNS holds"
        got = "octets beyond ASCII"
        raise Refusal("octodns-text", got, need, fix) from None
    if text_rdata(text) != wire:
        got, fix = (
            f"{len(parts)} strings cut in their own places",
            "join them, if their cuts mean nothing",
        )
        raise Refusal("octodns-text-strings", got, need, fix)
    if '" "' in text or "\\;" in text or not text:
        got, fix = f"{shown(text)}, which octoDNS reads as something else", "change the text"
        raise Refusal("octodns-text", got, need, fix)
    escaped = text.replace(";", "\\;")
    return f'"{escaped}"' if text.startswith('"') else escaped


def _read_loc(value: Mapping[str, object]) -> str:
    sides = [f"{side}_{part}" for side in ("lat", "long") for part in _LOC]
    _known("LOC", value, {*sides, *_LOC_SIZES})
    missing = [key for key in (*sides, *_LOC_SIZES) if key not in value]
    if missing:
        got = f"{', '.join(missing)} missing in a value of LOC"
        raise Refusal("field-missing", got, "", f"add {missing[0]}")
    sizes = " ".join(f"{value[key]}m" for key in _LOC_SIZES)
    return " ".join(str(value[key]) for key in sides) + f" {sizes}"


def _write_loc(wire: bytes) -> dict[str, object]:
    data = opened("LOC", wire)
    assert isinstance(data, LOC)  # noqa: S101  # its type's class
    found: dict[str, object] = {}
    for side, place, signs in (("lat", data.latitude, "NS"), ("long", data.longitude, "EW")):
        degrees, minutes, seconds, thousandths, sign = place
        found[f"{side}_degrees"] = degrees
        found[f"{side}_minutes"] = minutes
        found[f"{side}_seconds"] = seconds + thousandths / 1000
        found[f"{side}_direction"] = signs[0] if sign > 0 else signs[1]
    lengths = (data.altitude, data.size, data.horizontal_precision, data.vertical_precision)
    return found | {key: cm / 100 for key, cm in zip(_LOC_SIZES, lengths, strict=True)}


def _read_svcb(value: Mapping[str, object]) -> str:
    _known("SVCB", value, {"svcpriority", "targetname", "svcparams"})
    priority = _integer("svcpriority", value.get("svcpriority"))
    words = [str(priority), _absolute(_string("targetname", value.get("targetname")))]
    params = value.get("svcparams") or {}
    if not isinstance(params, Mapping):
        raise Refusal("field-type", f"svcparams: {described(params)}", "a map", "write a map")
    for key, param in params.items():
        if param is None:
            words.append(str(key))
        else:
            text = ",".join(map(str, param)) if isinstance(param, list) else str(param)
            words.append(f'{key}="{text}"')
    return " ".join(words)


def _write_svcb(kind: str, wire: bytes) -> dict[str, object]:
    data = opened(kind, wire)
    assert isinstance(data, SVCBBase)  # noqa: S101  # its types' class
    params: dict[str, object] = {}
    for word in data.to_text().split(" ")[2:]:
        key, _, quoted_text = word.partition("=")
        text = quoted_text.strip('"')
        if key not in SVC_KEYS or "\\" in text:
            need = f"one of {', '.join(sorted(SVC_KEYS))}, without escapes"
            raise Refusal(
                "octodns-svcparam", f"the parameter {word}", need, "keep it out of octoDNS"
            )
        params[key] = _svc_param(key, text)
    target = names.text_of(data.target)
    found: dict[str, object] = {"svcpriority": data.priority, "targetname": target}
    return found | ({"svcparams": params} if params else {})


def _svc_param(key: str, text: str) -> object:
    if key in SVC_LISTS:
        return text.split(",")
    if key == "port":
        return int(text)
    return text if key == "ech" else None


def _write_parts(kind: str, text: str) -> dict[str, object]:
    if text.startswith("\\#"):
        got, fix = f"a name in {text}, which octoDNS cannot write", "change the name"
        raise Refusal("octodns-name", got, "letters, digits, hyphens and underscores", fix)
    words = _words(text, len(SHAPES[kind]))
    write: dict[str, Callable[[str], object]] = {
        "int": int,
        "text": lambda word: word[1:-1],
        "name": str,
        "word": str,
        "hex": lambda word: word.replace(" ", ""),
    }
    return {
        part.name: write[part.form](word) for part, word in zip(SHAPES[kind], words, strict=True)
    }


def _words(text: str, count: int) -> list[str]:
    """Words of presentation form; what stands between quotes is one, and hex may have spaces."""
    found: list[str] = []
    rest = text
    while rest:
        if rest.startswith('"'):
            end = 1
            while rest[end] != '"':
                end += 2 if rest[end] == "\\" else 1
            end += 1
        elif len(found) == count - 1:
            end = len(rest)
        else:
            end = rest.find(" ") if " " in rest else len(rest)
        found.append(rest[:end])
        rest = rest[end:].lstrip(" ")
    return found
