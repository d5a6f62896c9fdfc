"""What somebody writes who knows pyinfra: put each file, reload what changed."""

from pyinfra import host
from pyinfra.operations import files, server, systemd

put = {
    entry["path"]: files.put(
        name=entry["path"],
        src=host.data.tree + entry["path"],
        dest=entry["path"],
        user=entry["owner"],
        group=entry["group"],
        mode=entry["mode"],
        create_remote_dir=False,
    )
    for entry in host.data.entries
}


def changed(path: str):
    """Whether that file was replaced."""
    return put[path].did_change


if host.data.role == "pop":
    systemd.service(
        name="reload haproxy",
        service="haproxy",
        reloaded=True,
        _if=changed("/etc/haproxy/haproxy.cfg"),
    )
    server.shell(
        name="configure bird", commands=["birdc configure"], _if=changed("/etc/bird/bird.conf")
    )
systemd.service(
    name="load firewall",
    service="loopback-nftables",
    restarted=True,
    _if=changed("/etc/loopback/nftables.conf"),
)
