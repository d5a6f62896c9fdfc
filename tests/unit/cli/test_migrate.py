"""`loopback migrate`: the file it edits, what it prints beforehand, what it waits for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.cli.migration import Stopped, check_step, render_commands, wait_for
from loopback_iac.engine import UsageError
from loopback_iac.engine.stackedit import replace_config, write_stack_file
from loopback_iac.model.migration import next_step, parse_move
from loopback_iac.remote.pool import count_left
from loopback_iac.remote.report import Report, Silence

FILE = """\
# the fleet of the edge team
encryptionsalt: v1:abc
config:
  edge:adminSources: [198.18.251.2/32]   # us
  edge:machines:
    w1: {kind: metal}
    w2: {kind: metal}
    h1:
      kind: hetzner   # ordered when needed
  edge:pops: {fra1: {node_id: 1}}
  edge:workers:   # who serves
    w1: {node_id: 1}
    w2:
      node_id: 2
      weight: 60   # slower
  # a secret
  edge:token:
    secure: v1:c2VjcmV0
"""
KEY = "edge:workers"


def workers_of(text: str) -> dict:
    return yaml.safe_load(text)["config"][KEY]


@pytest.mark.parametrize(
    "value",
    [{"w2": {"node_id": 2, "drained": True}, "h-1": {"node_id": 3, "weight": 0}}, {"w1": {}}, {}],
)
@pytest.mark.parametrize(
    "text",
    [
        FILE,
        FILE.replace("  #", "    #"),
        FILE.replace("\n  ", "\n      "),
        FILE[: FILE.index("  # a secret")],  # the value is the file's last
        FILE[: FILE.index("  # a secret")].rstrip("\n"),
        FILE.replace("edge:workers:", "workers:"),
        FILE.replace("  edge:workers:", '  "edge:workers":'),
    ],
)
def test_one_value_is_changed_and_every_other_line_stays(text, value):
    changed = replace_config(text, KEY, value)
    before, after = yaml.safe_load(text), yaml.safe_load(changed)
    written = next(key for key in before["config"] if key.endswith("workers"))
    assert after == {**before, "config": {**before["config"], written: value}}
    start, end = text.index(f"{written}"), text.find("# a secret")
    assert changed.startswith(text[:start])
    assert end < 0 or changed.endswith(text[end:].lstrip())
    assert "slower" not in changed


def test_a_value_on_one_line_is_written_anew():
    text = "config:\n  edge:workers: {w1: {node_id: 1}}  # one\n  edge:b: 1\n"
    assert replace_config(text, KEY, {"w2": {"node_id": 2}}) == (
        "config:\n  edge:workers:\n    w2:\n      node_id: 2\n  edge:b: 1\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config:\n  edge:other: 1\n", "has no edge:workers"),
        ("", "has no edge:workers"),
        ("config: [\n", "is no YAML"),
        ("config:\n  edge:workers: &a {w1: {}}\n  edge:b: *a\n", "by hand"),
        ("config: {edge:workers: {w1: {}}}\n", "by hand"),
    ],
)
def test_what_cannot_be_edited_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        replace_config(text, KEY, {"w2": {"node_id": 2}})


def test_the_file_keeps_its_mode_and_a_link_to_it_stays_one(tmp_path):
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("a: 1\n")
    real.chmod(0o640)
    link.symlink_to(real)
    write_stack_file(link, "a: 2\n")
    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o777) == ("a: 2\n", 0o640)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "Pulumi.yaml").write_text("name: edge\nruntime: python\n")
    (tmp_path / "__main__.py").write_text("")
    (tmp_path / "Pulumi.dev.yaml").write_text(FILE)
    return tmp_path


def loopback(project, *words):
    return CliRunner().invoke(app, ["migrate", *words, "-C", str(project)])


def test_the_plan_says_each_change_what_it_waits_for_and_how_to_make_it(project):
    done = loopback(project, "web", "--from", "w1,w2", "--to", "h1", "--plan")
    assert done.exit_code == 0, done.output
    assert (
        done.stdout
        == """\
1. add: h1 joins pool web and takes no connection yet (h1 at hetzner: ordered)
     pulumi config set --path 'workers.h1.node_id' 3
     pulumi config set --path 'workers.h1.weight' 0
     pulumi up
2. shift: h1 takes connections with weight 100, beside the others
   not before: h1 UP at every PoP
     pulumi config set --path 'workers.h1.weight' 100
     pulumi up
3. drain: w1, w2 takes no new connection; those that stand go on
   not before: h1 UP at every PoP
     pulumi config set --path 'workers.w1.drained' true
     pulumi config set --path 'workers.w2.drained' true
     pulumi up
4. remove: w1, w2 leaves the fleet
   not before: no connection to w1, w2, at most 300 s
     pulumi config rm --path 'workers.w1'
     pulumi config rm --path 'workers.w2'
     pulumi up
"""
    )
    assert (project / "Pulumi.dev.yaml").read_text() == FILE


def test_a_plan_begins_where_the_configuration_stands(project):
    steps = json.loads(loopback(project, "web", "--from=w1", "--plan", "--json").stdout)["steps"]
    path = project / "Pulumi.dev.yaml"
    path.write_text(replace_config(FILE, KEY, steps[0]["workers"]))
    again = json.loads(loopback(project, "web", "--from=w1", "--plan", "--json").stdout)["steps"]
    assert again == steps[1:]
    assert [step["step"] for step in steps] == ["drain", "remove"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web", "--from=w1,w2"], "after it no worker would take a connection"),
        (["web", "--from=w1", "--to=x1"], "--to.x1: it is not in `machines`; expected one of h1"),
        (["web", "--from=w1", "--to=h1", "--stack=prod"], "Pulumi.prod.yaml is not there"),
        (["web", "--from=w1", "--to=fra1"], "it is a PoP"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything(project, words, said):
    done = loopback(project, *words, "--plan")
    assert done.exit_code == 2
    assert said in done.output
    assert (project / "Pulumi.dev.yaml").read_text() == FILE


def test_what_is_taken_back_is_removed():
    before = {"w1": {"node_id": 1, "drained": True}}
    assert render_commands(before, {"w1": {"node_id": 1}}) == [
        "pulumi config rm --path 'workers.w1.drained'"
    ]


MOVE = parse_move("web", ["w1", "w2"], ["h1"], yaml.safe_load(FILE.replace("edge:", ""))["config"])
WORKERS = workers_of(FILE)
BARE = {"format": 1, "host": "fra1", "role": "pop", "standing": "", "active": None, "drain": [],
        "pending": None, "files": {}, "bgp": None, "gates": {}, "blackholes": []}  # fmt: skip


def report(connections=None, **servers: tuple[str, int]) -> Report:
    found = {name: {"status": word, "weight": weight} for name, (word, weight) in servers.items()}
    tunnels = {
        name: {"present": True, "handshake_age_s": 1, "rtt_ms": 1, "connections": count}
        for name, count in (connections or {}).items()
    }
    other = {"h1": {"status": "DOWN", "weight": 0}}
    seen = {"web.https": found, "web.https.last": {}, "mail.smtp": other}
    return Report.model_validate(BARE | {"tunnels": tunnels, "servers": seen})


def at(name: str):
    """The step of that name, as it comes."""
    workers = WORKERS
    while (step := next_step(MOVE, workers)).name != name:
        workers = step.workers
    return step


FINE = report(w1=("UP", 100), w2=("UP", 60), h1=("UP", 0))


def test_a_newcomer_that_every_pop_sees_up_may_serve():
    assert check_step(MOVE, at("shift"), {"fra1": FINE, "par1": FINE}) == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (report(w1=("UP", 100), h1=("DOWN", 0)), "par1: h1 is DOWN in web.https"),
        # just loaded: it was not checked yet
        (report(w1=("UP", 100), h1=("UP 1/3", 0)), "par1: h1 is UP 1/3 in web.https"),
        (report(w1=("UP", 100)), "par1: h1 is not in web.https"),
        (Silence(why="no answer within 15 s"), "par1: gave no report: no answer within 15 s"),
        (FINE.model_copy(update={"servers": None}), "par1: its HAProxy does not speak of pool web"),
    ],
)
@pytest.mark.parametrize("name", ["shift", "drain"])
def test_one_pop_that_does_not_see_it_stops_the_move_before(seen, told, name):
    found = check_step(MOVE, at(name), {"fra1": FINE, "par1": seen})
    assert list(map(str, found)) == [told]


def test_nobody_is_drained_before_a_newcomer_has_its_share_everywhere():
    found = check_step(MOVE, at("drain"), {"fra1": FINE})
    assert list(map(str, found)) == ["fra1: web.https has none of h1 UP with a weight"]
    ready = report(w1=("UP", 100), h1=("UP", 100))
    assert check_step(MOVE, at("drain"), {"fra1": ready}) == []


def test_without_newcomers_one_of_the_rest_has_to_be_up():
    rest = replace(MOVE, leaving=("w1",), coming=())
    step = next_step(rest, WORKERS)
    assert check_step(rest, step, {"fra1": report(w1=("UP", 100), w2=("UP", 60))}) == []
    assert check_step(rest, step, {"fra1": report(w1=("UP", 100), w2=("DOWN", 60))}) != []


def test_connections_are_counted_through_tunnels_of_both_key_epochs():
    seen = report({"lb-w1": 2, "lc-w1": 3, "lb-w2": 0, "lb-h1": 9})
    silent = report({"lb-w1": None})
    left = count_left({"fra1": seen, "par1": silent, "ams1": Silence(why="off")}, ["w1", "w2"])
    assert left == {"ams1": None, "fra1": 5, "par1": None}


def looks(*reports: Report):
    """A fleet of one PoP that says one after the other; the last stays."""
    told = [*reports]
    return lambda: {"fra1": told.pop(0) if len(told) > 1 else told[0]}


def test_it_waits_until_it_holds():
    sick = report(h1=("DOWN", 0))
    assert wait_for(MOVE, at("shift"), looks(sick, sick, FINE), 60, 0) is None
    busy, over = report({"lb-w1": 4}), report({"lb-w1": 0})
    assert wait_for(MOVE, at("remove"), looks(busy, over), 60, 0) == {"fra1": 0}


def test_it_stops_when_a_newcomer_stays_sick_and_goes_on_when_connections_do_not_end():
    with pytest.raises(Stopped, match=r"stopped before `shift`:\n  - fra1: h1 is DOWN in web.http"):
        wait_for(MOVE, at("shift"), looks(report(h1=("DOWN", 0))), 0)
    assert wait_for(MOVE, at("remove"), looks(report({"lb-w1": 4})), 0) == {"fra1": 4}
