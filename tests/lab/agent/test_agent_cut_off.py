"""An apply that is cut off at any point: the host serves what it served, says so, and goes back."""

import json
import subprocess
from pathlib import Path

import pytest

FILES = Path(__file__).parent / "par1"
NFT, TMPFILES = "/etc/loopback/nftables.conf", "/etc/tmpfiles.d/loopback.conf"
HAPROXY = "/etc/haproxy/haproxy.cfg"
# A unit that takes its time to start, so that there is a moment to hit.
SLOW_UNIT = "/etc/systemd/system/loopback-slow.service"


def noted(number: int = 0) -> str:
    """A change that disturbs nobody: a remark in tmpfiles.d; 0 is the text as it was."""
    text = (FILES / TMPFILES[1:]).read_text()
    return text + (f"# {number}\n" if number else "")


def slow(note: str) -> str:
    """A unit of the bundle that starts once let go: the apply hangs between swap and proof."""
    wait = f"until test -e /run/go-{note}; do sleep 0.1; done"
    return (
        f"[Unit]\nDescription={note}\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        f"ExecStart=/bin/sh -c '{wait}'\n[Install]\nWantedBy=multi-user.target\n"
    )


def let_go(edge, note: str) -> None:
    """End what hangs."""
    edge.inside(f"touch /run/go-{note}")


def begin(edge, bundle) -> subprocess.Popen:
    """An apply in the background, as its SSH client process."""
    prefix = ["nsenter", f"--net={edge.lab.paths.namespace_path('ops')}"]
    client = subprocess.Popen(
        [*prefix, *edge.ssh_words, edge.words("apply", bundle)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    client.stdin.write(json.dumps(bundle))
    client.stdin.close()
    client.stdin = None
    return client


def phase(edge) -> str | None:
    """How far the apply has come."""
    text = edge.inside("cat /var/lib/loopback/state.json")
    return (json.loads(text)["pending"] or {}).get("phase")


def unit_of(bundle) -> str:
    return f"loopback-apply-{bundle['digest'][:12]}"


def test_killed_between_stage_and_swap(edge, serving):
    """The apply drains first; SIGKILL there leaves nothing changed and the PoP returns."""
    bundle = edge.bundle({HAPROXY: edge.bundle()["files"][HAPROXY]["text"] + "# b\n"}, drain_s=20)
    client = begin(edge, bundle)
    edge.eventually(lambda: phase(edge) == "draining")
    edge.inside(f"systemctl kill -s KILL {unit_of(bundle)}")
    _, complaint = client.communicate(timeout=90)
    assert client.returncode == 1
    assert "killed before it ended" in complaint
    edge.eventually(lambda: phase(edge) is None)
    edge.eventually(edge.announced)
    assert "# b" not in edge.inside(f"cat {HAPROXY}")


def test_killed_between_swap_and_proof_goes_back_at_once(edge, serving):
    bundle = edge.bundle({TMPFILES: noted(2), SLOW_UNIT: slow("a")})
    client = begin(edge, bundle)
    edge.eventually(lambda: phase(edge) == "swapping")
    edge.eventually(lambda: noted(2) == edge.inside(f"cat {TMPFILES}"))
    edge.inside(f"systemctl kill -s KILL {unit_of(bundle)}")
    client.communicate(timeout=90)
    assert client.returncode == 1
    edge.eventually(lambda: phase(edge) is None)
    assert edge.inside(f"cat {TMPFILES}") == noted()
    assert edge.inside(f"ls {SLOW_UNIT} 2>&1 || true").count("No such file") == 1
    assert edge.report()["rolled_back"]["why"] == "the apply was cut off during the swap"


def test_a_cut_ssh_does_not_kill_the_apply_and_a_second_call_follows_it(edge, serving):
    bundle = edge.bundle({TMPFILES: noted(2), SLOW_UNIT: slow("b")})
    client = begin(edge, bundle)
    edge.eventually(lambda: phase(edge) == "swapping")
    client.kill()
    client.communicate()
    started = edge.inside(f"systemctl show {unit_of(bundle)} -p ExecMainPID")
    edge.inside("nohup sh -c 'sleep 10; touch /run/go-b' >/dev/null 2>&1 &")
    followed = edge.apply(bundle)
    assert followed.returncode == 0, followed.stderr
    assert json.loads(followed.stdout)["state"] == "unconfirmed"
    assert TMPFILES in json.loads(followed.stdout)["changed"], "it began anew instead of following"
    assert started != "ExecMainPID=0\n"
    rolled = edge.ssh("/usr/local/sbin/loopback-agent rollback")
    assert rolled.returncode == 0, rolled.stderr


def test_another_apply_while_one_runs_is_refused(edge, serving):
    bundle = edge.bundle({TMPFILES: noted(2), SLOW_UNIT: slow("c")})
    client = begin(edge, bundle)
    edge.eventually(lambda: phase(edge) == "swapping")
    refused = edge.apply(edge.bundle({TMPFILES: noted(3)}))
    assert refused.returncode == 1
    assert "another apply" in refused.stderr
    assert bundle["digest"][:12] in refused.stderr
    let_go(edge, "c")
    client.communicate(timeout=90)
    assert client.returncode == 0
    edge.ssh("/usr/local/sbin/loopback-agent rollback")


def test_nobody_confirms_a_firewall_that_locks_out(edge, serving):
    """It names the admin source where the check looks, and drops it where the kernel looks."""
    text = edge.bundle()["files"][NFT]["text"].replace(
        "type filter hook input priority filter; policy drop;",
        "type filter hook input priority filter; policy drop;\n\t\ttcp dport 22 drop",
    )
    bundle = edge.bundle({NFT: text}, confirm_s=5)
    client = begin(edge, bundle)
    edge.eventually(lambda: phase(edge) == "unconfirmed")
    knock = ["timeout", "1", "bash", "-c", f"</dev/tcp/{edge.address}/22"]
    assert edge.lab.exec("ops", knock).returncode == 124  # locked out, as meant
    edge.eventually(lambda: phase(edge) is None)
    client.kill()
    client.communicate()
    assert edge.ssh("true").returncode == 0
    assert "nobody confirmed" in edge.report()["rolled_back"]["why"]
    again = edge.confirm(bundle)  # puts it back on, and this connection dies under it
    assert again.returncode != 0
    edge.eventually(lambda: phase(edge) is None)


def test_a_step_that_fails_after_the_swap_goes_back(edge, serving):
    """haproxy -c is content; the address is not there to bind to."""
    text = edge.bundle()["files"][HAPROXY]["text"].replace("203.0.113.10:443", "203.0.113.11:443")
    done = edge.apply(edge.bundle({HAPROXY: text}))
    assert done.returncode == 1
    assert f"rolled back; serving {serving['digest'][:12]}" in done.stderr, done.stderr
    assert "cannot bind socket" in done.stderr.lower(), done.stderr


def test_confirming_over_the_same_connection_proves_nothing(edge, serving):
    bundle = edge.bundle({TMPFILES: noted(2)})
    both = edge.ssh(
        f"{edge.words('apply', bundle)} && {edge.words('confirm', bundle)}", json.dumps(bundle)
    )
    assert both.returncode == 1
    assert "this is the connection that the apply came over" in both.stderr
    assert edge.ssh("/usr/local/sbin/loopback-agent rollback").returncode == 0


def test_a_late_confirm_applies_again_and_proves_itself(edge, serving):
    bundle = edge.bundle({TMPFILES: noted(2)}, confirm_s=3)
    assert edge.apply(bundle).returncode == 0
    edge.eventually(lambda: edge.report()["rolled_back"] is not None)
    assert edge.inside(f"cat {TMPFILES}") == noted()
    confirmed = edge.confirm(bundle)
    assert confirmed.returncode == 0, confirmed.stderr
    assert "applied again, proving this connection" in confirmed.stderr
    assert edge.inside(f"cat {TMPFILES}") == noted(2)
    assert edge.report()["active"] == bundle["digest"]
    edge.converge(serving)


def test_confirming_what_was_never_applied_fails(edge, serving):
    done = edge.ssh(f"{edge.words('confirm', serving).replace(serving['digest'], 'ab' * 32)}")
    assert done.returncode == 1
    assert "not waiting to be confirmed" in done.stderr
    assert f"serving {serving['digest'][:12]}" in done.stderr


def test_release_of_an_older_digest_does_nothing(edge, serving):
    done = edge.ssh(f"/usr/local/sbin/loopback-agent release host=par1 digest={'cd' * 32}")
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "kept"


@pytest.mark.parametrize("cut", ["swapping", "unconfirmed"])
def test_a_power_failure_in_the_middle_returns_to_the_confirmed_set(edge, serving, cut):
    note = f"d-{cut}"
    bundle = edge.bundle({TMPFILES: noted(2), SLOW_UNIT: slow(note)}, confirm_s=300)
    if cut == "unconfirmed":
        let_go(edge, note)
    client = begin(edge, bundle)
    edge.eventually(lambda: phase(edge) == cut and noted(2) == edge.inside(f"cat {TMPFILES}"))
    edge.lab.power_off("par1")
    client.kill()
    client.communicate()
    edge.lab.power_on("par1")
    edge.start_worker()
    edge.eventually(edge.announced)
    report = edge.report()
    assert report["active"] == serving["digest"]
    assert report["rolled_back"]["digest"] == bundle["digest"]
    assert edge.inside(f"cat {TMPFILES}") == noted()
    assert edge.inside(f"ls {SLOW_UNIT} 2>&1 || true").count("No such file") == 1
    edge.eventually(lambda: edge.report()["gates"]["v4"]["position"] == "open")


def test_a_drifted_file_is_put_right_by_the_next_apply(edge, serving):
    edge.inside(f"echo '# 9' >> {TMPFILES}")
    assert edge.report()["files"][TMPFILES] == "changed by somebody else"
    assert edge.converge(serving)["changed"] == [TMPFILES]
