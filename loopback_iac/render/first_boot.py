"""What a machine that we order is told at its first boot, as cloud-init reads it.

As little as possible: a pinned host key, the deploy key, the metadata service closed; everything
else comes by `enroll`. The text reaches the machine through the provider, so it is a secret, and
the machine forgets it once it has booted.
"""

import json

from loopback_iac.render.files import secret_mark
from loopback_iac.render.text import render_text

LARGEST_BYTES = 32 * 1024  # user_data of Hetzner's API; IONOS takes more
HOST_KEY_MARK = "ssh-host-key"
# link-local, and the same at every cloud that has such a service
METADATA_ADDRESS = "169.254.169.254"


def render_first_boot(name: str, host_public_key: str, deploy_key: str) -> str:
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
    )


def fill_first_boot(text: str, host_private_key: str) -> str:
    """User data as sent: the mark stands in quotes, so the key's lines become one.

    In: the rendered text; the private half of the host key as a file has it.
    """
    return text.replace(secret_mark(HOST_KEY_MARK), json.dumps(host_private_key)[1:-1])
