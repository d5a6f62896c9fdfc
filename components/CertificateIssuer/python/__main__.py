"""Let's Encrypt: names are proved over the edge, and one of them and a wildcard by the DNS."""

import pulumi
import pulumi_kubernetes

from loopback_iac.components import CertificateIssuer, EdgePoolRef

config = pulumi.Config()
cluster = pulumi_kubernetes.Provider("prod", kubeconfig=config.require_secret("kubeconfig"))

# what `edge.pools["web"]` of an AnycastEdge says
web: EdgePoolRef = {
    "fleet": "edge",
    "pool": "web",
    "pops": ["fra1", "par1"],
    "vips": {"www": ["203.0.113.10"]},
    "services": {
        "http": {"vip": "www", "port": 80, "worker_port": 8080},
        "https": {"vip": "www", "port": 443, "worker_port": 8443},
    },
    "workers": {"w1": ["10.88.8.2", "10.88.16.2"]},
    "noticed_after_ms": 110,
}

issuer = CertificateIssuer(
    "letsencrypt",
    {
        "directory": "https://acme-v02.api.letsencrypt.org/directory",
        "email": "ops@example.net",
        "http01": {"edge": web, "class_name": "edge"},
        "dns01": {
            "zone": "acme.example.net",
            "names": ["www.example.net", "*.shop.example.net"],
            # what `dns.updates["cert-manager"]` of a HiddenPrimary says
            "update": {
                "addresses": ["198.51.100.53"],
                "key_name": "loopback-update-cert-manager",
                "secret": config.require_secret("updateKey"),
                "zones": ["acme.example.net"],
            },
        },
        # as HiddenPrimary has them: what is missing is refused with the record to write
        "zones": {
            "example.net": {
                "records": {
                    "@": {"NS": ["ns1", "ns2"], "CAA": ['0 issue "letsencrypt.org"']},
                    "ns1": {"A": ["192.0.2.53"]},
                    "ns2": {"A": ["203.0.113.53"]},
                    "_acme-challenge.www": {"CNAME": ["www.example.net.acme.example.net."]},
                    "_acme-challenge.shop": {"CNAME": ["shop.example.net.acme.example.net."]},
                }
            }
        },
    },
    opts=pulumi.ResourceOptions(providers=[cluster]),
)
pulumi.export("issuer", issuer.name)
pulumi.export("records", issuer.records)
