"""One worker more: which hosts a change reaches, and which of their files."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from loopback_iac.engine import Options, plan, up
from tests.engine.edge import EXAMPLE, PASSPHRASE, make_secrets, render_config, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.engine import Result

POPS = {"fra1", "par1"}
SECRETS = make_secrets()
# BIRD's own file is not among them, so BIRD is not told anything and no BGP session ends
CHANGED_ON_A_POP = {
    "/etc/haproxy/haproxy.cfg",
    "/etc/loopback/nftables.conf",
    "/etc/loopback/sysctl.conf",
    "/etc/loopback/watch.json",
    "/etc/systemd/system/wg-quick@lb-w11.service.d/loopback.conf",
    "/etc/wireguard/lb-w11.conf",
}


def with_workers(count: int) -> dict[str, Any]:
    """The example's PoPs and so many workers of metal."""
    config = copy.deepcopy(EXAMPLE)
    machines = config["loopback-edge:machines"]
    names = {f"w{n}": {"node_id": n} for n in range(1, count + 1)}
    rack = {
        name: {**machines["rack"], "ipv4": f"198.51.100.{40 + n}"} for n, name in enumerate(names)
    }
    config["loopback-edge:machines"] = {name: machines[name] for name in POPS} | rack
    config["loopback-edge:workers"] = names
    return config


def changed(result: Result) -> dict[str, set[str]]:
    """Commands by host: what is done there."""
    found: dict[str, set[str]] = {}
    for change in result.changes:
        if change.type == "command:remote:Command" and change.op != "same":
            _, host, verb = change.name.split("-")
            found.setdefault(host, set()).add(f"{verb}: {change.op.value}")
    return found


def files(result: Result, host: str) -> set[str]:
    """Files of a host that a plan shows as changed."""
    (outputs,) = [c.outputs for c in result.changes if c.name == f"edge-{host}"]
    paths = (re.match(r'files\["(.*)"\]$', part.path) for part in outputs)
    return {found[1] for found in paths if found}


def test_the_eleventh_worker_touches_pops_and_itself_and_no_bgp_session(
    tmp_path: Path,
) -> None:
    def settle(count: int) -> Options:
        text = render_config(with_workers(count), SECRETS)
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        return Options(directory=tmp_path, passphrase=PASSPHRASE)

    write_project(tmp_path)
    first = up(settle(10))
    assert first.ok, first.diagnostics
    assert set(changed(first)) == {*POPS, *(f"w{n}" for n in range(1, 11))}

    planned = plan(settle(11))
    assert planned.ok, planned.diagnostics
    for pop in POPS:
        assert files(planned, pop) == CHANGED_ON_A_POP

    done = up(settle(11))
    assert done.ok, done.diagnostics
    assert changed(done) == {
        "w11": {"enroll: create", "apply: create", "confirm: create"},
        **{pop: {"apply: update", "confirm: update"} for pop in POPS},
    }
    assert "replace" not in done.counts
    assert plan(settle(11)).counts.keys() == {"same"}
