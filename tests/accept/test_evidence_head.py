"""`loopback evidence verify --head-at`: the head that a zone's servers have, beside the chain."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import dns.rdataset
import dns.zone
import pytest

from loopback_iac.dns.served.signatures import make_ds
from loopback_iac.evidence.anchor import render_anchor
from loopback_iac.evidence.canonical import sha256
from tests.accept.name_servers import HOST, ZONE, Between, Daemon, free_port, knot, running
from tests.accept.served_zone import TEXT, text_ds, text_of, transfer
from tests.unit.evidence.states import Desk, run

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = f"_evidence.{ZONE}"
UNBOUND = """\
server:
    interface: {host}@{port}
    do-ip6: no
    do-not-query-localhost: no
    chroot: ""
    username: ""
    directory: "{home}"
    pidfile: "{home}/pid"
    use-syslog: no
    num-threads: 1
    msg-cache-size: 1m
    rrset-cache-size: 1m
    module-config: "validator iterator"
    trust-anchor: "{zone} DS {ds}"
remote-control:
    control-enable: no
stub-zone:
    name: "{zone}"
    stub-addr: {host}@{behind}
"""


class Anchored:
    """A chain of two records whose head a signed zone has, and the zone's servers."""

    def __init__(self, desk: Desk, signer: Daemon, plain: Daemon) -> None:
        self.folder, self.signer, self.plain = desk.chain, signer, plain
        self.signed = transfer(signer)
        keys = self.signed.find_rdataset("@", "DNSKEY")
        (wire,) = make_ds(ZONE, [key.to_digestable() for key in keys])
        self.ds = text_ds(wire)
        plain.reload(text_of(self.signed))

    def verify(self, *asked: object, ds: str | None = None, folder: object = None):
        words = [f"--server={one.name}={HOST}:{one.port}" for one in asked]
        words += [f"--ds={ds}"] if ds else []
        return run(
            "evidence", "verify", str(folder or self.folder), f"--head-at={NAME}",
            "--timeout-s=20", *words,
        )  # fmt: skip

    def altered(self, text: str) -> None:
        """Let the second server have another text under the signature of the first."""
        zone = dns.zone.from_text(text_of(self.signed), ZONE, check_origin=False)
        other = dns.rdataset.from_text("IN", "TXT", 3600, text)
        zone.replace_rdataset("_evidence", other)
        self.plain.reload(text_of(zone))


def heads(folder) -> list[str]:
    return [sha256((at / "manifest.json").read_bytes()) for at in sorted(folder.glob("[0-9]*"))]


@pytest.fixture(scope="module")
def published(image, signed_servers, tmp_path_factory) -> Iterator[Anchored]:
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(tmp_path_factory.mktemp("chain"), patch)
        for _ in range(2):
            assert desk.record().exit_code == 0
        record = f'_evidence TXT "{render_anchor(heads(desk.chain)[-1])}"\n'
        signer = knot(image, "anchored", TEXT + record, sign={})
        with running(signer):
            yield Anchored(desk, signer, signed_servers.plain)
            signed_servers.as_signed()


@pytest.fixture
def anchored(published) -> Anchored:
    published.plain.reload(text_of(published.signed))
    return published


def test_every_server_has_the_head_and_the_ds_vouches_for_it(anchored):
    done = anchored.verify(anchored.signer, anchored.plain, ds=anchored.ds)
    assert done.exit_code == 0, done.output
    said = "the head of this chain, signed below the DS that was given"
    assert done.stdout.count(said) == 4  # two servers, over UDP and over TCP
    bare = anchored.verify(anchored.signer)
    assert (bare.exit_code, bare.stdout.count("the head of this chain, not validated")) == (0, 2)


def test_who_gives_another_head_is_named(anchored):
    anchored.altered(f'"{render_anchor("0" * 64)}"')
    done = anchored.verify(anchored.signer, anchored.plain)
    assert done.exit_code == 1
    lines = [line for line in done.stdout.splitlines() if "another head" in line]
    assert [f" at plain {HOST}:" in line for line in lines] == [True, True]
    assert "0" * 64 in lines[0]
    assert done.stdout.count("the head of this chain") == 2


def test_a_chain_written_anew_by_its_own_signer_is_found(anchored, tmp_path):
    """Without the zone it holds: that is why the head is kept where its signer cannot take it."""
    with pytest.MonkeyPatch.context() as patch:
        other = Desk(tmp_path, patch)
        assert other.record().exit_code == 0
        assert run("evidence", "verify", str(other.chain)).exit_code == 0
        done = anchored.verify(anchored.signer, folder=other.chain)
    assert (done.exit_code, done.stdout.count("is not in this chain")) == (1, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("first", "the head of record 1, and the last is number 2"),
        ("both", "2 heads, need one"),
        ("none", "no head: no TXT begins with loopback-evidence="),
        ("same", "no signature of its TXT holds"),
    ],
)
def test_what_is_not_the_head_or_is_not_signed_is_told(anchored, text, words):
    first, last = (f'"{render_anchor(head)}"' for head in heads(anchored.folder))
    # "same": the head, and beside it a text that nobody signed
    texts = {"first": first, "none": '"v=spf1 -all"', "same": last, "both": f"{first}"}
    anchored.altered(texts[text])
    if text in ("both", "same"):
        zone = dns.zone.from_text(
            (anchored.plain.home / "zone").read_text(), ZONE, check_origin=False
        )
        more = last if text == "both" else '"and more"'
        node = zone.find_rdataset("_evidence", "TXT")
        node.update(dns.rdataset.from_text("IN", "TXT", 3600, more))
        anchored.plain.reload(text_of(zone))
    done = anchored.verify(anchored.plain, ds=anchored.ds if text == "same" else None)
    assert (done.exit_code, done.stdout.count(words)) == (1, 2), done.output


def test_a_ds_of_another_key_vouches_for_nothing(anchored):
    wrong = anchored.ds[:-4] + "0000"
    done = anchored.verify(anchored.signer, ds=wrong)
    assert (done.exit_code, done.stdout.count("is the one of the DS")) == (1, 2), done.output


def test_a_resolver_that_validates_says_so_and_gives_no_altered_head(anchored):
    port = free_port()
    home = "/dns/resolver"
    image = anchored.signer.image
    for name, behind in (("good", anchored.signer), ("bad", anchored.plain)):
        image.empty(home)
        daemon = Daemon(image, "resolver", port, ["unbound", "-d", "-c", f"{home}/unbound.conf"])
        settings = {"host": HOST, "port": port, "home": home, "zone": ZONE, "ds": anchored.ds}
        daemon.write("unbound.conf", UNBOUND.format(**settings, behind=behind.port))
        if name == "bad":
            anchored.altered(f'"{render_anchor("0" * 64)}"')
        with running(daemon):
            done = anchored.verify(daemon)
        told = (
            "validated, says this resolver" if name == "good" else "no answer: ValueError: SERVFAIL"
        )
        assert (done.exit_code, done.stdout.count(told)) == (int(name == "bad"), 2), done.output


def test_who_is_silent_or_no_authority_is_named(anchored, signed_servers):
    nobody = Daemon(anchored.signer.image, "nobody", free_port(), [])
    with Between(signed_servers.nsd, lambda said, way: None if way == "udp" else said) as half:
        words = ["--timeout-s=3"]
        done = run("evidence", "verify", str(anchored.folder), f"--head-at={NAME}", *words,
                   f"--server=nobody={HOST}:{nobody.port}",
                   f"--server=half={HOST}:{half.server.port}")  # fmt: skip
    assert done.exit_code == 1
    assert done.stdout.count("no answer: ") == 3
    assert f"half {HOST}:{half.server.port} tcp: no head" in done.stdout
    other = run("evidence", "verify", str(anchored.folder), "--head-at=_evidence.example.org",
                f"--server=signer={HOST}:{anchored.signer.port}")  # fmt: skip
    assert (other.exit_code, other.stdout.count("REFUSED")) == (1, 2)


def test_wrong_words_are_refused_before_anybody_is_asked(anchored, tmp_path):
    for words, said in (
        (("--server=ns=127.0.0.1",), "of which name?"),
        ((f"--head-at={NAME}",), "nobody is named to ask"),
        ((f"--head-at={NAME}", "--server=127.0.0.1"), "need NAME[/POP]=ADDRESS"),
        (("--head-at=a..b", "--server=ns=127.0.0.1"), "is no domain name"),
        ((f"--head-at={NAME}", "--server=ns=127.0.0.1", "--ds=1 2"), "--ds"),
    ):
        done = run("evidence", "verify", str(anchored.folder), *words)
        assert (done.exit_code, said in done.output) == (2, True), done.output
    broken = shutil.copytree(anchored.folder, tmp_path / "chain")
    with contextlib.suppress(FileNotFoundError):
        (broken / "signers").unlink()
    done = anchored.verify(anchored.signer, folder=broken)
    assert (done.exit_code, "at anchored" in done.stdout) == (1, False)
