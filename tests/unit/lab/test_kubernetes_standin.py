"""The stand-in for pulumi-kubernetes where no cluster is asked: settings, manifests, charts."""

from __future__ import annotations

import json
import ssl
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine.values import UNKNOWN
from loopback_iac.lab.kubernetes.chart import check_chart
from loopback_iac.lab.kubernetes.checking import Scopes
from loopback_iac.lab.kubernetes.cluster import UnreachableError, open_cluster
from loopback_iac.lab.kubernetes.manifests import (
    ManifestError,
    order_objects,
    parse_manifest,
    read_files,
    settle_objects,
)
from loopback_iac.lab.kubernetes.settings import (
    Settings,
    check_settings,
    find_namespace,
    find_replacing,
    parse_settings,
)

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(server: str = "https://192.0.2.1", **changes: str) -> str:
    contexts = [
        {"name": name, "context": {"cluster": name, "user": "u", "namespace": f"of-{name}"}}
        for name in ("a", "b")
    ]
    clusters = [{"name": "a", "cluster": {"server": server}}]
    clusters += [{"name": "b", "cluster": {"server": "https://192.0.2.2"}}]
    users = [{"name": "u", "user": {"token": "a-token"}}]
    document = {"current-context": "a", "contexts": contexts, "clusters": clusters, "users": users}
    return json.dumps({**document, **changes})


@pytest.mark.parametrize(
    ("olds", "news", "replaces"),
    [
        ({}, {"context": "a"}, ["context"]),
        ({}, {"namespace": "other"}, []),
        ({}, {"kubeconfig": kubeconfig("https://192.0.2.9")}, ["kubeconfig"]),
        ({}, {"kubeconfig": kubeconfig(comment="new")}, []),
        ({}, {"kubeconfig": UNKNOWN}, ["kubeconfig"]),
        ({"clusterIdentifier": "x"}, {"clusterIdentifier": "x", "context": "b"}, []),
        ({"clusterIdentifier": "x"}, {"clusterIdentifier": "y"}, ["clusterIdentifier"]),
        ({}, {"clusterIdentifier": "y"}, []),
        ({}, {"context": "b"}, ["context"]),
        ({}, {"kubeconfig": "no-such-file"}, []),
        ({}, {"context": "none"}, []),  # no cluster at all is not another one
    ],
)
def test_another_cluster_replaces_what_is_in_it(
    olds: dict[str, Any], news: dict[str, Any], replaces: list[str]
) -> None:
    base = {"kubeconfig": kubeconfig()}
    if news == {"context": "a"}:
        replaces = []  # it was that one before, unsaid
    assert find_replacing({**base, **olds}, {**base, **news}) == replaces


def test_what_is_not_mirrored_is_refused_by_name() -> None:
    given = {"renderYamlToDirectory": "x", "enableServerSideApply": "false"}
    assert [name for name, _ in check_settings(given, default=False)] == list(given)
    strict = check_settings({"strictMode": "true", "kubeconfig": "x"}, default=True)
    assert strict == [
        ("", "strict mode prohibits default provider"),
        ("context", 'strict mode requires Provider "context" argument'),
    ]
    assert (
        check_settings({"enableServerSideApply": "true", "context": UNKNOWN}, default=False) == []
    )


def test_the_environment_counts_where_the_program_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    monkeypatch.setenv("PULUMI_K8S_ENABLE_PATCH_FORCE", "true")
    found = parse_settings({"deleteUnreachable": "false", "kubeClientSettings": '{"timeout": 3}'})
    assert (found.delete_unreachable, found.patch_force, found.timeout_s) == (False, True, 3.0)
    assert find_namespace(parse_settings({"kubeconfig": kubeconfig()})) == "of-a"
    assert find_namespace(parse_settings({"kubeconfig": kubeconfig(), "context": "b"})) == "of-b"
    assert find_namespace(parse_settings({"kubeconfig": "no-such-file"})) == ""
    assert find_namespace(parse_settings({"kubeconfig": "{a: b}"})) == "default"


@pytest.mark.parametrize("text", ["a: [", "no-such-file", "a: b\n", "{}", "[]\n", "\n", "{a: 1}"])
def test_a_kubeconfig_that_is_none_says_so_and_leaves_no_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UnreachableError) as told:
        open_cluster(Settings(kubeconfig=text))
    assert "kubeconfig" in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_keys_that_are_none_are_told_without_their_text(tmp_path: Path) -> None:
    document = json.loads(kubeconfig())
    document["users"][0]["user"] = {
        "client-certificate-data": "bm8ta2V5",
        "client-key-data": "bm8ta2V5",
    }
    with pytest.raises(UnreachableError) as told:
        open_cluster(Settings(kubeconfig=json.dumps(document)))
    assert isinstance(told.value.__cause__, ssl.SSLError)
    assert "bm8ta2V5" not in str(told.value)


def test_manifests_are_read_as_kubernetes_reads_them() -> None:
    text = "{a: 1:30, b: 2026-01-01, c: =, d: 0644, e: 80, f: 1.5, g: true, h: 1e3, i: 08, j: -5}"
    (found,) = parse_manifest(f"---\n---\n{text}\n---\n# nothing\n")
    assert found == {
        "a": "1:30", "b": "2026-01-01", "c": "=", "d": 420, "e": 80, "f": 1.5, "g": True,
        "h": 1000.0, "i": "08", "j": -5,
    }  # fmt: skip


def test_objects_come_after_what_they_need() -> None:
    names = {"kind": "Thing"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names}
    things = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}},
        {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}},
        {"apiVersion": "core/v1", "kind": "Namespace", "metadata": {"name": "n"}},
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
         "metadata": {"name": "things"}, "spec": spec},
    ]  # fmt: skip
    settled = settle_objects(things, "default", Scopes(None))
    assert [thing["metadata"].get("namespace") for thing in settled] == ["n", None, None, None]
    assert order_objects(settled) == [(2, []), (3, []), (0, [2]), (1, [3])]
    mark = "config.kubernetes.io/depends-on"
    for one, other in ((0, "/Namespace/n"), (2, "/namespaces/n/ConfigMap/c")):
        settled[one]["metadata"]["annotations"] = {mark: other}
    with pytest.raises(ManifestError, match="cyclic dependency between c, n"):
        order_objects(settled)


@pytest.mark.parametrize(
    "thing", [{}, {"kind": "X"}, {"kind": "X", "apiVersion": "v1"}, "text", [1], None, 7]
)
def test_what_is_no_object_is_refused(thing: Any) -> None:
    with pytest.raises(ManifestError, match="Kubernetes resources require"):
        settle_objects([thing], "default", Scopes(None))


def test_what_a_nameless_secret_holds_is_not_told() -> None:
    thing = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "hunter2"}}
    for one in (thing, {**thing, "kind": ""}, "hunter2"):
        with pytest.raises(ManifestError, match="Kubernetes resources require") as told:
            settle_objects([one], "default", Scopes(None))  # type: ignore[list-item]
        assert "hunter2" not in str(told.value)


def test_what_would_be_fetched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="fetches nothing"):
        read_files(["https://example.com/x.yaml"], globs=True)
    with pytest.raises(ManifestError, match="reading YAML file from disk"):
        read_files([str(tmp_path / "none.yaml")], globs=True)
    with pytest.raises(ManifestError, match="decoding YAML"):
        parse_manifest("a: [")
    with pytest.raises(ManifestError, match="does not have repositoryOpts, verify of a chart"):
        check_chart({"chart": "x", "verify": True, "repositoryOpts": {"repo": "x"}})
    with pytest.raises(ManifestError, match="give a folder or a"):
        check_chart({"chart": "oci://example.com/x"})
