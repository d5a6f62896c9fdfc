"""Answers that lead to another name: CNAME, and DNAME with the CNAME that is made of it.

Sources: RFC 1034 4.3.2, RFC 6672 3.1 and 5.3.1 (the CNAME that a DNAME makes is not signed).
"""

from typing import NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.served.message import Message, Reply
from loopback_iac.dns.served.signatures import Served, group_records
from loopback_iac.dns.zone import Key

LEADING = ("CNAME", "DNAME")


class Redirect(NamedTuple):
    """What leads to another name; `wrong`: how its CNAME is not what its DNAME makes."""

    key: Key
    served: Served
    wrong: str = ""


def find_redirect(reply: Reply | None, key: Key, zone: str) -> Redirect | None:
    """What an answer has in place of the RRset that was asked for."""
    owner, kind = key
    if not isinstance(reply, Message) or not any(one.type in LEADING for one in reply.answer):
        return None
    found = group_records(reply.answer)
    alias = found.get((owner, "CNAME"))
    for (at, name), served in found.items():
        above = name == "DNAME" and at != owner and names.is_within(owner, at)
        if above and names.is_within(at, zone):
            return Redirect((at, name), served, _wrong(owner, at, served, alias))
    if alias is None or kind == "CNAME" or key in found:
        return None
    return Redirect((owner, "CNAME"), alias)


def _wrong(owner: str, at: str, served: Served, alias: Served | None) -> str:
    made = names.labels(owner)[: -len(names.labels(at))]
    target = names.labels(names.name_text(served.rdata[0]))
    if alias is None:
        return ""  # it would be too long, or is left to the resolver
    if names.labels(names.name_text(alias.rdata[0])) == [*made, *target]:
        return ""
    return f"a CNAME to {names.name_text(alias.rdata[0])}"
