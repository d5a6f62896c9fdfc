"""The deploy key's forced command: the library's own texts and nothing else."""

import pytest

from loopback_iac.agent import BOOT
from loopback_iac.agent.authorized import FORCED, ONWARD, restricted
from loopback_iac.agent.forced import parse_forced
from loopback_iac.agent.refusal import RefusedError

AGENT = "/usr/local/sbin/loopback-agent"
DIGEST = "0123456789abcdef"
WORDS = f"host=fra1 instance=i-1/a:b digest={DIGEST}"


@pytest.mark.parametrize("verb", ["apply", "confirm", "release"])
def test_the_librarys_commands_pass(verb):
    assert parse_forced(f"{AGENT} {verb} {WORDS}") == [verb, *WORDS.split()]


def test_release_without_an_instance_passes():
    words = f"release host=fra1 digest={DIGEST}"
    assert parse_forced(f"{AGENT} {words}") == words.split()


def test_enroll_passes_without_its_program():
    for program in (BOOT, "import evil"):
        assert parse_forced(f"python3 -I -c '{program}' enroll {WORDS}") == [
            "enroll",
            *WORDS.split(),
        ]


@pytest.mark.parametrize(
    "words",
    [
        "report", "rollback", "undrain", "drain", "drain 30", "update", "update 5",
        "blackhole add 203.0.113.66", "blackhole remove 2001:db8:100::66",
    ],
)  # fmt: skip
def test_looking_and_breaking_glass_pass(words):
    assert parse_forced(f"{AGENT} {words}") == words.split()


@pytest.mark.parametrize(
    "command",
    [
        "", "id", "bash", "scp -t /etc", AGENT, f"../{AGENT} report",
        f"{AGENT} ssh", f"{AGENT} watch", f"{AGENT} recover boot",
        f"{AGENT} converge digest={DIGEST}", f"{AGENT} enroll {WORDS}",
        f"python3 -I -c 'x' apply {WORDS}", f"python3 -c 'x' enroll {WORDS}",
        f"{AGENT} apply {WORDS} extra", f"{AGENT} apply host=fra1", f"{AGENT} apply '{WORDS}",
        f"{AGENT} apply {WORDS}; id", f"{AGENT} apply {WORDS} && id",
        f"{AGENT} apply $(id) {WORDS}", f"{AGENT} apply instance=i host=fra1 digest={DIGEST}",
        f"{AGENT} apply host=FRA1 instance=i digest={DIGEST}",
        f"{AGENT} apply host=fra1 instance=i digest=../../etc",
        f"{AGENT} apply host=fra1\ninstance=i digest={DIGEST}\nid",
        f"{AGENT} drain -1", f"{AGENT} drain x",
        f"{AGENT} blackhole add", f"{AGENT} blackhole add 203.0.113.0/24",
        f"{AGENT} blackhole list 203.0.113.66", f"{AGENT} blackhole add ; id",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_way_out(command):
    with pytest.raises(RefusedError, match="this is the fleet's deploy key") as refused:
        parse_forced(command)
    assert refused.value.code == 2
    assert "authorized_keys" in refused.value.what


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJcs1qA2OC1YnxNBGeqgzPS9lP2kQoYvScFDeBsRJebN"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINW392mBBtI4aNMPMiQ2dPsZWdevJIa3FAeOBjgTr33P me@home"


def test_only_the_keys_own_line_is_forced():
    text = f"# {KEY} old\n{OTHER}\n\n{KEY} deploy@ci\n"
    expected = f"# {KEY} old\n{OTHER}\n\n{FORCED} {KEY} deploy@ci\n"
    assert restricted(text, f"{KEY} another comment", "F") == expected
    assert restricted(expected, KEY, "F") == expected


def test_limits_the_operator_set_stay_and_liberties_go():
    text = f'from="10.0.0.0/8,fd00::/8",command="/bin/sh",agent-forwarding {KEY}\n'
    assert restricted(text, KEY, "F") == f'from="10.0.0.0/8,fd00::/8",{FORCED} {KEY}\n'


def test_through_a_pop_the_key_reaches_on_and_nothing_else_is_given_back():
    line = restricted(f"{KEY}\n", KEY, "F", ONWARD)
    assert line == f"{FORCED},port-forwarding {KEY}\n"
    assert restricted(line, KEY, "F", ONWARD) == line
    assert restricted(line, KEY, "F") == f"{FORCED} {KEY}\n"


def test_a_key_that_is_not_there_is_refused():
    with pytest.raises(RefusedError, match="in no line of F"):
        restricted(f"{OTHER}\n", KEY, "F")
    with pytest.raises(RefusedError, match="no public key"):
        restricted(f"{OTHER}\n", "-----BEGIN", "F")
