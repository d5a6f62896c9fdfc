"""What a machine that we order is told at its first boot, as cloud-init reads it.

As little as possible: a pinned host key, the deploy key, the metadata service closed, addresses
that the provider's image does not set; everything else comes by `enroll`. The text reaches the
machine through the provider, so it is a secret, and the machine forgets it once it has booted.
"""

import hashlib
import json
from typing import NamedTuple

from loopback_iac.render.files import secret_mark
from loopback_iac.render.text import render_text

LARGEST_BYTES = 32 * 1024  # user_data of Hetzner's API; IONOS takes more
HOST_KEY_MARK = "ssh-host-key"
# link-local, and the same at every cloud that has such a service
METADATA_ADDRESS = "169.254.169.254"


class OwnAddresses(NamedTuple):
    """Addresses that the machine itself puts on its cards, at every boot."""

    ipv6: str | None = None
    """On the card with the IPv4 default route; routers advertise the way out."""
    private: str | None = None
    """With its length, on the card that bears `private_mac`."""


NO_ADDRESSES = OwnAddresses()


def private_mac(name: str) -> str:
    """The hardware address of a machine's card in a private LAN, by which the machine finds it.

    In: the host name, which no other machine of the LAN has.
    Sources: IEEE 802c: the second bit of the first byte says that it is nobody's product.
    """
    digest = hashlib.sha256(f"private/{name}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def render_first_boot(
    name: str, host_public_key: str, deploy_key: str, own: OwnAddresses = NO_ADDRESSES
) -> str:
    """User data with a mark in place of the host key's private half.

    In: the host name; public halves as authorized_keys lines, without line ends.
    Sources: docs of cloud-init 25.1 (Debian 13), reference of modules ssh, users and groups,
        write files, runcmd.
    """
    return render_text(
        "first-boot.yaml",
        name=name,
        host_public_key=json.dumps(host_public_key),
        host_private_key=json.dumps(secret_mark(HOST_KEY_MARK)),
        deploy_key=json.dumps(deploy_key),
        metadata=METADATA_ADDRESS,
        own=own,
        private_mac=private_mac(name),
    )


def fill_first_boot(text: str, host_private_key: str) -> str:
    """User data as sent: the mark stands in quotes, so the key's lines become one.

    In: the rendered text; the private half of the host key as a file has it.
    """
    return text.replace(secret_mark(HOST_KEY_MARK), json.dumps(host_private_key)[1:-1])
