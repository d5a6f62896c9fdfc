"""An ingress controller's manifests, whichever it is."""

from loopback_iac.kube.ingress import NGINX, Behind, Ingress
from loopback_iac.kube.manifests import Manifest
from loopback_iac.kube.render_nginx import nginx_base, nginx_pods
from loopback_iac.kube.render_traefik import traefik_base, traefik_pods


def ingress_base(ingress: Ingress) -> list[Manifest]:
    """What does not depend on the edge."""
    return nginx_base(ingress) if ingress.controller.kind == NGINX else traefik_base(ingress)


def ingress_pods(behind: Behind) -> list[Manifest]:
    """What follows from the edge: the same objects whatever it says, with other contents."""
    nginx = behind.ingress.controller.kind == NGINX
    return nginx_pods(behind) if nginx else traefik_pods(behind)


def render_ingress(behind: Behind) -> list[Manifest]:
    """Everything, in the order in which it can be applied."""
    return [*ingress_base(behind.ingress), *ingress_pods(behind)]
