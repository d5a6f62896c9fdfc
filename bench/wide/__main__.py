"""A fleet as wide as the configuration says."""

import pulumi
import tree

from loopback_iac.components import AnycastEdge, BareMetalHost

config = pulumi.Config()
count = config.require_int("pops")
key = config.require_secret("sshPrivateKey")
hosts = {
    name: BareMetalHost(name, {**machine, "ssh_private_key": key}).host
    for name, machine in tree.machines(count).items()
}
edge = AnycastEdge("edge", tree.fleet(hosts, count, config.require_secret("md5")))
pulumi.export("pops", edge.pops)
