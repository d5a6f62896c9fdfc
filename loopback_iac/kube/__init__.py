"""Kubernetes' end of egress: policies declared, checked, rendered, and audited. Pure."""

from loopback_iac.kube.backends import backends, fit
from loopback_iac.kube.cegp import check_manifests
from loopback_iac.kube.groups import GatewayGroup, gateway_groups
from loopback_iac.kube.helm_values import render_values
from loopback_iac.kube.manifests import render_yaml
from loopback_iac.kube.parse import load_yaml, parse_egress, parse_egress_tree
from loopback_iac.kube.policy import Egress, EgressPolicy, Pool
from loopback_iac.kube.pool import allocation_rows, free_addresses, free_text
from loopback_iac.kube.render_cilium import render_cilium
from loopback_iac.kube.render_kube_vip import render_kube_vip

__all__ = [
    "Egress",
    "EgressPolicy",
    "GatewayGroup",
    "Pool",
    "allocation_rows",
    "backends",
    "check_manifests",
    "fit",
    "free_addresses",
    "free_text",
    "gateway_groups",
    "load_yaml",
    "parse_egress",
    "parse_egress_tree",
    "render_cilium",
    "render_kube_vip",
    "render_values",
    "render_yaml",
]
