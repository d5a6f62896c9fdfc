"""`loopback egress`: exit codes, files as they come, the same bytes twice."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from loopback_iac.cli import app
from tests.golden import egress as golden

ROOT = Path(__file__).parents[3]
EXAMPLE = str(ROOT / "docs/egress-example.yaml")


def run(*argv: str):
    return CliRunner().invoke(app, ["egress", *argv])


@pytest.fixture
def declared(tmp_path):
    def write(name: str) -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(golden.load(name).egress, sort_keys=False))
        return str(path)

    return write


def test_the_example_is_sound_and_says_so():
    done = run("check", EXAMPLE)
    assert (done.exit_code, done.stdout) == (0, "prod: 2 policies for cilium\n")
    assert json.loads(run("check", EXAMPLE, "--json").stdout) == {"problems": []}


def test_problems_go_to_stderr_and_end_with_1(declared):
    done = run("check", declared("overlaps"), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problems"][0]["rule"] == "overlap-destination"
    assert "4 problems" in done.stderr


@pytest.mark.parametrize("verb", ["check", "render", "advise", "pool"])
def test_a_file_that_cannot_be_read_ends_with_2(tmp_path, verb):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "none", tmp_path / "binary"):
        done = run(verb, str(path))
        assert done.exit_code == 2
        assert "fix: " in done.stderr


def test_manifests_written_by_hand_are_checked(tmp_path):
    path = tmp_path / "policies.yaml"
    path.write_text(yaml.safe_dump_all(golden.load("cegp-of-every-mistake").manifests))
    assert run("check", str(path)).exit_code == 1
    made = run("render", EXAMPLE)
    path.write_text(made.stdout)
    done = run("check", str(path))
    assert (done.exit_code, done.stdout) == (0, "3 egress gateway policies of 5 manifests\n")
    path.write_text("kind: Service\n")
    assert run("check", str(path)).exit_code == 2


def test_rendering_twice_and_from_elsewhere_is_the_same(tmp_path, monkeypatch):
    first = run("render", EXAMPLE).stdout, run("render", EXAMPLE, "--values").stdout
    monkeypatch.chdir(tmp_path)
    assert (run("render", EXAMPLE).stdout, run("render", EXAMPLE, "--values").stdout) == first
    assert all(first)


def test_a_refused_file_renders_nothing(declared):
    done = run("render", declared("kube-vip-cannot"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert run("render", declared("kube-vip"), "--values").exit_code == 2


@pytest.mark.parametrize(
    ("name", "choice"),
    [("cilium-two-families", "cilium"), ("kube-vip", "kube-vip"), ("kube-vip-cannot", "cilium")],
)
def test_advice(declared, name, choice):
    done = run("advise", declared(name), "--json")
    tree = json.loads(done.stdout)
    assert (done.exit_code, tree["backend"]) == (0, choice)
    assert all(each["source"] for unmet in tree["unmet"].values() for each in unmet)


def test_where_no_backend_holds_everything_none_is_advised(declared):
    done = run("advise", declared("ipv6-before-1.20"), "--json")
    tree = json.loads(done.stdout)
    assert (done.exit_code, tree["backend"]) == (1, None)
    assert [each["asks"] for each in tree["unmet"]["cilium"]] == ["ipv6"]
    shown = run("advise", declared("ipv6-before-1.20")).stdout
    assert shown.startswith("backend: none")
    assert "billing asks for ipv6" in shown


def test_cilium_is_advised_where_it_masquerades_already(tmp_path):
    tree = golden.load("kube-vip").egress | {"cilium": {"version": "1.20", "values": {}}}
    path = tmp_path / "e.yaml"
    for values in ({}, {"bpf": {"masquerade": True}}):
        tree["cilium"]["values"] = values
        path.write_text(yaml.safe_dump(tree))
        assert json.loads(run("advise", str(path), "--json").stdout)["backend"] == "cilium"


def test_the_pool_shows_who_has_what_and_what_is_free():
    tree = json.loads(run("pool", EXAMPLE, "--json").stdout)
    assert [row["tenant"] for row in tree["allocated"]] == ["shop", "bank", "shop"]
    assert tree["next_free"]["partners"].startswith("203.0.113.17, ")
    assert "next free in partners" in run("pool", EXAMPLE).stdout


@pytest.fixture
def exports(tmp_path, declared):
    """A folder as a node has it: the file of now, rotated ones, one of them compressed."""
    folder = tmp_path / "hubble"
    folder.mkdir()
    flows = golden.load("audit").flows
    (folder / "events.log").write_bytes(golden.export(flows[:8]))
    (folder / "events-2026-11-20T10-00-00.000.log").write_bytes(golden.export(flows[8:16]))
    packed = gzip.compress(golden.export(flows[16:]))
    (folder / "events-2026-11-20T09-00-00.000.log.gz").write_bytes(packed)
    return folder, declared("audit")


def test_leaks_end_with_1_and_the_json_is_the_same_twice(exports):
    folder, policies = exports
    first = run("audit", str(folder), "--policies", policies, "--json")
    tree = json.loads(first.stdout)
    assert (first.exit_code, tree["findings"]) == (1, 7)
    again = run("audit", *map(str, folder.iterdir()), "--policies", policies, "--json")
    assert again.stdout == first.stdout
    assert "events-2026-11-20T09-00-00.000.log.gz:8: no record" in first.stderr
    assert "Hubble lost 17 events" in first.stderr


def test_the_table_names_pods_policy_owner_and_address(exports):
    folder, policies = exports
    done = run("audit", str(folder), "--policies", policies)
    for words in ("leak", "app=invoicer", "billing@example.net", "198.51.100.13", "rows: 2 leak"):
        assert words in done.stdout
    assert "as declared" in run("audit", str(folder), "--policies", policies, "--all").stdout


def test_no_leak_ends_with_0_unless_records_are_missing(tmp_path, declared):
    policies, export = declared("audit"), tmp_path / "e.log"
    flows = golden.load("audit").flows
    export.write_bytes(golden.export([flows[1]]))
    assert run("audit", str(export), "--policies", policies, "--complete").exit_code == 0
    export.write_bytes(golden.export([flows[0]]))
    assert run("audit", str(export), "--policies", policies).exit_code == 0
    done = run("audit", str(export), "--policies", policies, "--complete")
    assert done.exit_code == 1
    assert "no record of the address" in done.stderr


# gzip writes the time of day, which would name the test differently in each process of a run
TORN = gzip.compress(b"x", mtime=0)[:-6]


@pytest.mark.parametrize("content", [b"", b"\n", b"x\n", TORN, b"\x1f\x8b"])
def test_records_that_cannot_be_read_never_pass_for_no_leaks(tmp_path, declared, content):
    (tmp_path / "e.log").write_bytes(content)
    done = run("audit", str(tmp_path / "e.log"), "--policies", declared("audit"))
    assert done.exit_code == 2
    assert "says nothing about leaks" in done.stderr


def test_a_file_that_ends_in_the_middle_is_read_as_far_as_it_goes(tmp_path, declared):
    flows = golden.load("audit").flows
    packed = gzip.compress(golden.export([flows[2]] * 5000))
    (tmp_path / "e.log.gz").write_bytes(packed[: len(packed) // 2])
    done = run("audit", str(tmp_path / "e.log.gz"), "--policies", declared("audit"), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["files"][0]["malformed"] >= 1


def test_a_file_beside_its_compressed_copy_is_read_once(tmp_path, declared):
    export = golden.export([golden.load("audit").flows[1]])
    (tmp_path / "e.log").write_bytes(export)
    (tmp_path / "e.log.gz").write_bytes(gzip.compress(export))
    argv = (str(tmp_path), str(tmp_path / "e.log"), "--policies", declared("audit"), "--json")
    done = run("audit", *argv)
    assert json.loads(done.stdout)["rows"][0]["flows"] == 1
    assert "left out, beside the file itself" in done.stderr


def test_the_commit_of_the_declared_file_is_told(tmp_path):
    def git(*argv):
        who = ("-c", "user.name=A B", "-c", "user.email=a@b.example")
        command = ["git", "-C", str(tmp_path), *who, *argv]
        subprocess.run(command, check=True, capture_output=True)

    policies = tmp_path / "egress.yaml"
    policies.write_text(yaml.safe_dump(golden.load("audit").egress, sort_keys=False))
    (tmp_path / "e.log").write_bytes(golden.export([golden.load("audit").flows[1]]))
    argv = (str(tmp_path / "e.log"), "--policies", str(policies), "--json")
    assert json.loads(run("audit", *argv).stdout)["declared"]["commit"] is None
    git("init", "-q")
    git("add", "egress.yaml")
    git("commit", "-q", "-m", "declared")
    commit = json.loads(run("audit", *argv).stdout)["declared"]["commit"]
    assert (len(commit["id"]), commit["author"], commit["altered"]) == (40, "A B", False)
    policies.write_text(policies.read_text() + "\n")
    done = run("audit", *argv)
    assert json.loads(done.stdout)["declared"]["commit"]["altered"] is True
    assert "differs from its commit" in done.stderr


def test_exports_of_several_nodes_in_a_folder_each_are_told_apart(tmp_path, declared):
    flows = golden.load("audit").flows
    for node, flow in (("w1", flows[1]), ("w2", flows[7])):
        (tmp_path / "nodes" / node).mkdir(parents=True)
        (tmp_path / "nodes" / node / "events.log").write_bytes(golden.export([flow]))
    done = run("audit", str(tmp_path / "nodes"), "--policies", declared("audit"), "--json")
    tree = json.loads(done.stdout)
    assert [each["name"].split("/")[-2:] for each in tree["files"]] == [
        ["w1", "events.log"],
        ["w2", "events.log"],
    ]
    assert (done.exit_code, tree["rows_by_verdict"]["as declared"]) == (0, 2)


def test_an_export_without_egress_says_so(tmp_path, declared):
    (tmp_path / "e.log").write_bytes(golden.export([golden.load("audit").flows[16]]))
    done = run("audit", str(tmp_path / "e.log"), "--policies", declared("audit"))
    assert (done.exit_code, "none of a pod that leaves" in done.stdout) == (0, True)
