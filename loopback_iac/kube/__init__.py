"""Kubernetes at both ends: ingress and egress declared, checked, rendered, audited. Pure."""

from loopback_iac.kube.backends import backends, fit
from loopback_iac.kube.cegp import check_manifests
from loopback_iac.kube.chart_values import merged_values
from loopback_iac.kube.check_ingress import parse_behind, parse_ingress
from loopback_iac.kube.check_issuer import (
    check_http01_edge,
    parse_issuer,
    parse_update,
    records_of,
)
from loopback_iac.kube.groups import GatewayGroup, gateway_groups
from loopback_iac.kube.helm_values import render_values
from loopback_iac.kube.ingress import Artifact, Behind, Ingress
from loopback_iac.kube.issuer import Issuer, Update
from loopback_iac.kube.manifests import render_yaml
from loopback_iac.kube.parse import load_yaml, parse_egress, parse_egress_tree
from loopback_iac.kube.policy import Egress, EgressPolicy, Pool
from loopback_iac.kube.pool import allocation_rows, free_addresses, free_text
from loopback_iac.kube.render_cilium import render_cilium
from loopback_iac.kube.render_ingress import ingress_base, ingress_pods, render_ingress
from loopback_iac.kube.render_issuer import render_issuer
from loopback_iac.kube.render_kube_vip import render_kube_vip

__all__ = [
    "Artifact",
    "Behind",
    "Egress",
    "EgressPolicy",
    "GatewayGroup",
    "Ingress",
    "Issuer",
    "Pool",
    "Update",
    "allocation_rows",
    "backends",
    "check_http01_edge",
    "check_manifests",
    "fit",
    "free_addresses",
    "free_text",
    "gateway_groups",
    "ingress_base",
    "ingress_pods",
    "load_yaml",
    "merged_values",
    "parse_behind",
    "parse_egress",
    "parse_egress_tree",
    "parse_ingress",
    "parse_issuer",
    "parse_update",
    "records_of",
    "render_cilium",
    "render_ingress",
    "render_issuer",
    "render_kube_vip",
    "render_values",
    "render_yaml",
]
