"""What a cluster of the lab is made of, as far as it needs no daemon."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile

import pytest
import yaml
from cryptography import x509

from loopback_iac.lab.cluster import control, node
from loopback_iac.lab.cluster.control import ControlPlane
from loopback_iac.lab.cluster.ground import control_plane
from loopback_iac.lab.cluster.images import ContainerImage
from loopback_iac.lab.cluster.pki import Pki
from loopback_iac.lab.keys import ensure_keys
from loopback_iac.lab.paths import InstancePaths, LabError, cluster_root
from loopback_iac.lab.stackconfig import INGRESS, render_facts
from loopback_iac.lab.topology import SPARES, TOPOLOGIES, Role


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Programs of the cluster that are files and nothing more."""
    monkeypatch.setenv("LOOPBACK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LOOPBACK_CACHE", str(tmp_path / "cache"))

    def binary(name):
        path = cluster_root() / f"{name}-0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        return path

    for module in (control, node):
        monkeypatch.setattr(module, "binary", binary)
    monkeypatch.setattr("loopback_iac.lab.cluster.images.binary", binary)
    return binary


def test_a_user_of_a_kubeconfig_is_whom_the_ca_signed(tmp_path):
    pki = Pki(tmp_path / "pki", "https://198.18.250.21:6443")
    pki.prepare()
    made = yaml.safe_load(pki.kubeconfig("system:node:w1", ("system:nodes",)).read_text())
    user = made["users"][0]["user"]
    pem = base64.b64decode(user["client-certificate-data"])
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.subject.rfc4514_string() == "CN=system:node:w1,O=system:nodes"
    authority = x509.load_pem_x509_certificate(pki.ca.read_bytes())
    certificate.verify_directly_issued_by(authority)
    assert b"PRIVATE KEY" in base64.b64decode(user["client-key-data"])


def test_keys_are_made_once_and_readable_by_nobody_else(tmp_path):
    pki = Pki(tmp_path / "pki", "https://198.18.250.21:6443")
    pki.prepare()
    before = pki.kubeconfig("lab-admin", ("system:masters",)).read_text()
    pki.prepare()
    assert pki.kubeconfig("lab-admin", ("system:masters",)).read_text() == before
    open_to_all = {p.name for p in pki.folder.iterdir() if p.stat().st_mode & 0o077}
    assert open_to_all == {"ca.pem", "client-lab-admin.crt"}


def test_an_image_is_what_its_digests_say(tmp_path, built):
    image = ContainerImage("labapp", built("labapp"), ("pause",))
    with tarfile.open(image.archive()) as tar:
        blobs = {
            name.rpartition("/")[2]: tar.extractfile(name).read()
            for name in tar.getnames()
            if name.startswith("blobs/")
        }
        (manifest,) = json.load(tar.extractfile("index.json"))["manifests"]
    assert all(hashlib.sha256(blob).hexdigest() == digest for digest, blob in blobs.items())
    assert image.reference.endswith(f"/labapp@{manifest['digest']}")
    assert manifest["annotations"]["io.containerd.image.name"] == image.reference
    told = json.loads(blobs[manifest["digest"].removeprefix("sha256:")])
    config = json.loads(blobs[told["config"]["digest"].removeprefix("sha256:")])
    assert config["config"] | {"Env": None} == {
        "Entrypoint": ["/labapp"],
        "Cmd": ["pause"],
        "WorkingDir": "/",
        "User": "65532:65532",
        "Env": None,
    }


def test_an_image_of_another_binary_has_another_name(built):
    path = built("labapp")
    before = ContainerImage("labapp", path).reference
    path.write_text("newer, and longer")
    assert ContainerImage("labapp", path).reference != before


def test_a_node_has_its_own_identity_and_nobody_elses(built):
    topology = TOPOLOGIES["cluster"]()
    plane = control_plane(InstancePaths("unit"), topology)
    seeds = {name: node.node_seed(plane, topology, name) for name in ("w1", "w2")}
    for name, seed in seeds.items():
        kubeconfig = yaml.safe_load(seed["etc/kubernetes/kubeconfig"].text)
        assert kubeconfig["users"][0]["name"] == f"system:node:{name}"
        assert f"--hostname-override={name}" in seed["etc/systemd/system/kubelet.service"].text
        assert seed["etc/kubernetes/kubeconfig"].mode == 0o600
        assert seed["etc/kubernetes/kubelet.key"].mode == 0o600
    keys = {seed["etc/kubernetes/kubelet.key"].text for seed in seeds.values()}
    assert len(keys) == 2


def test_a_fleet_without_a_place_for_a_control_plane_has_none(built):
    with pytest.raises(LabError, match="no control plane") as refused:
        control_plane(InstancePaths("unit"), TOPOLOGIES["demo"]())
    assert "loopback lab up --cluster" in str(refused.value)


def test_the_cluster_stands_in_the_demo_fleet_and_moves_nothing_of_it():
    demo, cluster = TOPOLOGIES["demo"](), TOPOLOGIES["cluster"]()
    assert {h.name for h in cluster.hosts} - {h.name for h in demo.hosts} == {"cp", *SPARES}
    assert set(demo.links) < set(cluster.links)
    workers = [h.name for h in demo.having(Role.WORKER)]
    assert [h.name for h in cluster.hosts if h.node and not h.spare] == workers


def test_spare_machines_are_another_hosters_and_no_workers_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPBACK_STATE", str(tmp_path))
    cluster, paths = TOPOLOGIES["cluster"](), InstancePaths("unit")
    paths.root.mkdir(parents=True)
    facts = render_facts(cluster, ensure_keys(paths, cluster))
    assert set(facts["workers"]) == {"w1", "w2"}
    told = {name: facts["machines"][name]["provider"] for name in ("w1", "w2", *SPARES)}
    assert [*told.values()] == ["own-metal"] * 2 + ["other-metal"] * 2


def test_one_service_of_the_lab_says_where_readiness_is_asked():
    asked = [s["health"]["ready_port"] for s in INGRESS.values() if "health" in s]
    assert asked == [8082]
    assert {s["port"] for s in INGRESS.values()} == {80, 443}


def test_no_key_of_the_control_plane_is_in_its_arguments(built):
    plane = ControlPlane(InstancePaths("unit"), "127.0.0.1")
    plane.prepare()
    words = " ".join(word for argv in plane._arguments().values() for word in argv)
    assert "PRIVATE" not in words
    assert "--anonymous-auth=false" in words
    assert "--authorization-mode=Node,RBAC" in words
