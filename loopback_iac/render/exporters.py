"""What Prometheus scrapes on a PoP: three exporters on the host's own address, never on a VIP.

The agent's metrics come as a text file through the machine's exporter, HAProxy's from HAProxy
itself. Workers carry none: such a host is the customer's, and the PoPs see its tunnel and its port.
"""

from collections.abc import Mapping

from loopback_iac.model import Host

HAPROXY_EXPORTER_PORT = 8405
NODE_EXPORTER_PORT = 9100
BIRD_EXPORTER_PORT = 9324
EXPORTER_PORTS = (HAPROXY_EXPORTER_PORT, NODE_EXPORTER_PORT, BIRD_EXPORTER_PORT)
METRICS = "/run/loopback/metrics"
DEBIAN_METRICS = "/var/lib/prometheus/node-exporter"  # what other packages tell


def listen_address(host: Host, port: int) -> str:
    """Where an exporter of a host listens: the address by which it is managed."""
    address = host.address
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def render_node_exporter(pop: str, hosts: Mapping[str, Host]) -> str:
    """Arguments of the machine's exporter, which hands on the agent's metrics."""
    listen = listen_address(hosts[pop], NODE_EXPORTER_PORT)
    return (
        f'ARGS="--web.listen-address={listen} --collector.textfile.directory={METRICS}'
        f' --collector.textfile.directory={DEBIAN_METRICS}"\n'
    )


def render_bird_exporter(pop: str, hosts: Mapping[str, Host]) -> str:
    """Arguments of BIRD's exporter."""
    listen = listen_address(hosts[pop], BIRD_EXPORTER_PORT)
    return (
        f'ARGS="-web.listen-address={listen} -bird.socket=/run/bird/bird.ctl'
        ' -bird.v2=true -format.new=true"\n'
    )
