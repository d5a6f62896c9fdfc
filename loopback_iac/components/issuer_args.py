"""What an operator writes of certificates: args as in args.py, under the same rules."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from loopback_iac.components.dns_args import UpdateRef, ZoneArgs
from loopback_iac.components.ingress_args import ArtifactArgs, EdgePoolRef


class Http01Args(TypedDict):
    """The authority asks each name over port 80, by the edge."""

    edge: pulumi.Input[EdgePoolRef]
    """The pool that serves the names: an entry of output `pools` of AnycastEdge."""
    class_name: NotRequired[str]
    """IngressClass that answers: output `class_name` of IngressController. Default `edge`."""
    self_check: NotRequired[bool]
    """cert-manager asks first, by the edge as well: its pods must reach the VIP. Default false."""
    wait_s: NotRequired[int]
    """Without that, how long until the authority is told to ask. Default 5."""


class Dns01Args(TypedDict):
    """The authority asks for a record that a CNAME of each name leads to."""

    zone: str
    """Zone that holds challenges and nothing else, at a HiddenPrimary, with an updater."""
    names: Sequence[str]
    """What certificates are wanted for this way, `*.example.net` as well."""
    update: pulumi.Input[UpdateRef]
    """How it is written: an entry of output `updates` of HiddenPrimary (secret)."""
    self_check: NotRequired[bool]
    """cert-manager looks for the record on every name server first. Default true."""
    wait_s: NotRequired[int]
    """Without that, how long until the authority is told to ask. Default 60."""


class CertificateIssuerArgs(TypedDict):
    """A certificate authority that speaks ACME (RFC 8555), for a cluster with cert-manager 1.21."""

    directory: str
    """Its directory, e.g. `https://acme-v02.api.letsencrypt.org/directory`."""
    email: NotRequired[str]
    """Whom it writes to."""
    ca_certificate: NotRequired[str]
    """PEM of the CA that signs for the directory itself. Default: those of the system."""
    caa: NotRequired[str]
    """What it answers to in CAA (RFC 8659). Default: known of Let's Encrypt and some others."""
    http01: NotRequired[Http01Args]
    """By the edge."""
    dns01: NotRequired[Dns01Args]
    """By a zone of challenges; for its names it goes before http01."""
    zones: NotRequired[Mapping[str, ZoneArgs]]
    """Zones that hold the names, as HiddenPrimary has them: then CNAME and CAA must be there."""
    cert_manager: NotRequired[ArtifactArgs]
    """Manifests (.yaml) or chart (.tgz) of cert-manager, to be installed. Default: it is there."""
    namespace: NotRequired[str]
    """Where cert-manager is. Default `cert-manager`."""
