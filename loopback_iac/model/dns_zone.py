"""One zone at operators other than oneself: who holds it, which way it gets there, who signs it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import AddressList, Given, Int, LineList, Value, matching, refuse
from loopback_iac.model.name_server import ZoneName
from loopback_iac.model.primary import ZoneSource
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain

TRANSFER, API = "transfer", "api"
PRIMARY_SIGNS, UNSIGNED = "primary", "none"
OWN, HETZNER, IONOS, CLOUDFLARE = "own-anycast", "hetzner", "ionos", "cloudflare"
IONOS_DNS = "https://dns.de-fra.ionos.com"

_SEPARATE = (
    "each operator with keys of its own: of 200 questions by a validating resolver that does"
    " not ask again, 177 failed with the DS of one of two operators, 93 with the DS of both"
)
_MULTI_SIGNER = (
    "several signers of one zone (RFC 8901): neither Hetzner nor IONOS takes a foreign DNSKEY;"
    " Cloudflare does, and nothing here steps through an exchange of keys yet"
)
_SIGNING = {
    "operators": (
        _SEPARATE,
        "sign once, on a hidden primary (mode transfer), or not at all",
    ),
    "multi-signer": (
        _MULTI_SIGNER,
        "sign once, on a hidden primary (mode transfer)",
    ),
}


def _signing(value: object) -> object:
    if isinstance(value, str) and value in _SIGNING:
        got, fix = _SIGNING[value]
        refuse(f"signing-{value}", got, f"{PRIMARY_SIGNS} or {UNSIGNED}", fix)
    return value


Url = Annotated[
    str,
    matching(
        # a token never travels in the clear; this machine's own loopback is for tests
        r"(https://[A-Za-z0-9.:\[\]-]+|http://127\.0\.0\.1(:[0-9]+)?)(/[A-Za-z0-9._/-]*)?",
        "url",
        "is no address of an API",
        "https:// and a host",
        "leave it out, or write it as in https://dns.de-fra.ionos.com",
    ),
]


Account = Annotated[
    str,
    matching(
        r"[0-9a-f]{32}",
        "cloudflare-account",
        "is no id of an account",
        "32 hexadecimal digits, in lower case",
        "copy it from the account's overview; it is no secret",
    ),
]


class ZoneOperator(Value):
    """How one operator holds the zone."""

    account_id: Account | None = None
    """Of Cloudflare, where zones, peers and keys belong to an account."""
    token: Given | None = None
    """Of IONOS, for a secondary zone; other resources take it from their provider's settings."""
    endpoint: Url = IONOS_DNS
    """Of IONOS' DNS API."""
    name_servers: LineList | None = None
    """Names of its servers, where it told others than its documents say."""


class ZoneParent(Value):
    """Who serves the parent zone: asked whether it has a DS, before the zone goes."""

    addresses: AddressList
    key_name: str = ""
    """Of the TSIG key that may take the DS out; empty: somebody does it by hand."""
    secret: Given | None = None


class DnsZone(Value):
    """All that is declared of a zone at operators. The map is sorted by name."""

    zone: ZoneName
    mode: Literal["transfer", "api"] = "transfer"
    signing: Annotated[Literal["primary", "none"], BeforeValidator(_signing)] | None = None
    operators: dict[str, ZoneOperator]
    transfers: Given | None = None
    default_ttl_s: Int | None = None
    records: dict[str, dict[str, Any]] = Field(default_factory=dict)
    text: str | None = None
    registered: str = ""
    parent: ZoneParent | None = None

    @property
    def source(self) -> ZoneSource:
        """The zone as a hidden primary is told it."""
        return ZoneSource(default_ttl_s=self.default_ttl_s, records=self.records, text=self.text)

    @property
    def others(self) -> tuple[str, ...]:
        """Where something is declared: a hidden primary brings the zone to one's own servers."""
        return tuple(name for name in self.operators if name != OWN)


def parse_dns_zone(name: str, tree: Mapping[str, object]) -> DnsZone:
    """The whole declaration, parsed and cross-checked; late values are not looked into.

    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    declared = collect(DnsZone, "", plain(tree), problems)
    if declared is not None:
        problems += _check_operators(declared)
        problems += _check_signing(declared)
        if declared.mode == TRANSFER and declared.others and declared.transfers is None:
            fix = "pass output `transfers` of the HiddenPrimary that signs the zone"
            problems.append(Problem("transfers", "is missing", "", fix, "field-missing"))
        problems += _check_parent(declared.parent)
    if problems or declared is None:
        raise InputRejected(name, tuple(problems))
    return declared.model_copy(update={"operators": dict(sorted(declared.operators.items()))})


def _check_operators(declared: DnsZone) -> list[Problem]:
    found = []
    known = (CLOUDFLARE, HETZNER, IONOS, *((OWN,) if declared.mode == TRANSFER else ()))
    if not declared.operators:
        fix = "declare one under operators"
        found.append(Problem("operators", "is empty", "at least one", fix, "section-empty"))
    for name, operator in declared.operators.items():
        path = f"operators.{name}"
        if name not in known:
            got, fix = f"{name} with mode {declared.mode}", "choose one of them"
            found.append(Problem(path, got, ", ".join(known), fix, "operator-unknown"))
        if name == CLOUDFLARE and operator.account_id is None:
            need, fix = "the id of the account", "write account_id; its overview shows it"
            found.append(Problem(f"{path}.account_id", "is missing", need, fix, "field-missing"))
        if name == IONOS and declared.mode == TRANSFER and operator.token is None:
            fix = "pass a token; no Pulumi resource makes a secondary zone there"
            found.append(Problem(f"{path}.token", "is missing", "", fix, "field-missing"))
    return found


def _check_signing(declared: DnsZone) -> list[Problem]:
    if declared.mode == API and declared.signing == PRIMARY_SIGNS:
        got = "operators that are primaries themselves serve no signatures of others"
        fix = "choose mode transfer, or leave the zone unsigned and its DS out of the parent"
        return [Problem("signing", got, UNSIGNED, fix, "signing-api")]
    if declared.mode == TRANSFER and declared.signing == UNSIGNED:
        got, fix = "a hidden primary signs every zone", "leave it out"
        return [Problem("signing", got, PRIMARY_SIGNS, fix, "signing-transfer")]
    return []


def _check_parent(parent: ZoneParent | None) -> list[Problem]:
    found = []
    if parent is not None and not parent.addresses:
        need, fix = "at least one", "write the addresses of the parent zone's servers"
        found.append(Problem("parent.addresses", "is empty", need, fix, "section-empty"))
    if parent is not None and bool(parent.key_name) != (parent.secret is not None):
        got, fix = "a key is its name and its secret", "write both, or none of them"
        found.append(Problem("parent", got, "key_name and secret", fix, "parent-key"))
    return found
