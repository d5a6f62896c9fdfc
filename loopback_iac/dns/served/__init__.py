"""Zones as servers have them, held against what is declared. Pure: others ask, this judges."""

from loopback_iac.dns.served.check import Expected, Report, Verdict, check_served
from loopback_iac.dns.served.check_server import differing, must_be_asked
from loopback_iac.dns.served.judge import Measure
from loopback_iac.dns.served.message import (
    MalformedMessage,
    Message,
    Record,
    Reply,
    Silence,
    parse_message,
)
from loopback_iac.dns.served.rules import RULES
from loopback_iac.dns.served.signatures import Keys, Served, group_records
from loopback_iac.dns.served.view import Finding, Look, ParentView, Server, View

__all__ = [
    "RULES",
    "Expected",
    "Finding",
    "Keys",
    "Look",
    "MalformedMessage",
    "Measure",
    "Message",
    "ParentView",
    "Record",
    "Reply",
    "Report",
    "Served",
    "Server",
    "Silence",
    "Verdict",
    "View",
    "check_served",
    "differing",
    "group_records",
    "must_be_asked",
    "parse_message",
]
