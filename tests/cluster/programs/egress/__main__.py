"""Egress of a cluster as its config has it, on the cluster of its kubeconfig."""

import pulumi
import pulumi_kubernetes as kubernetes

from loopback_iac.components import EgressPolicy

config = pulumi.Config()
cluster = kubernetes.Provider("cluster", kubeconfig=config.require_secret("kubeconfig"))
EgressPolicy("egress", config.require_object("egress"), pulumi.ResourceOptions(providers=[cluster]))
