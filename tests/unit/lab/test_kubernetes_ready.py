"""When the stand-in for pulumi-kubernetes calls an object ready, from what a cluster would say."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.lab.kubernetes.conditions import ExpressionError, parse_conditions
from loopback_iac.lab.kubernetes.pods import PodReadiness
from loopback_iac.lab.kubernetes.traffic import IngressReadiness, ServiceReadiness
from loopback_iac.lab.kubernetes.waiting import read_timeout_s
from loopback_iac.lab.kubernetes.workloads import (
    DaemonSetReadiness,
    DeploymentReadiness,
    JobReadiness,
    StatefulSetReadiness,
)

if TYPE_CHECKING:
    from loopback_iac.lab.kubernetes.cluster import Object

ABOUT = {"name": "x", "namespace": "n", "generation": 2, "uid": "u"}
REVISION = {"deployment.kubernetes.io/revision": "2"}
ADDRESS = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}


class World:
    """What else is in the cluster, by kind."""

    def __init__(self, **things: list[Object]) -> None:
        self._things = things

    def list_objects(self, api_version: str, kind: str, namespace: str) -> list[Object]:
        assert (api_version == "apps/v1") == (kind == "ReplicaSet")
        assert namespace == "n"
        return self._things.get(kind, [])


def edited(thing: Object, path: str, value: Any) -> Object:
    made: Any = copy.deepcopy(thing)
    *steps, last = path.split(".")
    here = made
    for step in steps:
        here = here[int(step)] if isinstance(here, list) else here[step]
    here[last] = value
    return dict(made)


DEPLOYMENT: Object = {
    "metadata": ABOUT | {"annotations": REVISION},
    "spec": {"template": {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}}},
    "status": {
        "observedGeneration": 2,
        "conditions": [
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            {"type": "Available", "status": "True"},
        ],
    },
}
SET: Object = {
    "metadata": {
        "annotations": REVISION,
        "ownerReferences": [{"uid": "u"}],
        "uid": "r",
        "namespace": "n",
    },
    "spec": {"replicas": 2},
    "status": {"readyReplicas": 2},
}
CLAIM: Object = {"metadata": {"name": "c"}, "status": {"phase": "Bound"}}


def deployed(live: Object = DEPLOYMENT, newest: Object = SET, claim: Object = CLAIM) -> bool:
    world = World(ReplicaSet=[newest], PersistentVolumeClaim=[claim])
    return DeploymentReadiness(world).look(live).ready


def test_a_deployment_is_rolled_out_available_and_has_its_claims() -> None:
    assert deployed()
    assert not deployed(edited(DEPLOYMENT, "status.observedGeneration", 1))
    assert not deployed(edited(DEPLOYMENT, "status.conditions.0.reason", "ReplicaSetUpdated"))
    assert not deployed(edited(DEPLOYMENT, "status.conditions.1.status", "False"))
    assert not deployed(newest=edited(SET, "status.readyReplicas", 1))
    assert not deployed(newest=edited(SET, "metadata.annotations", {}))
    assert not deployed(newest=edited(SET, "metadata.ownerReferences", [{"uid": "other"}]))
    assert not deployed(claim=edited(CLAIM, "status.phase", "Pending"))


DAEMONS: Object = {
    "kind": "DaemonSet",
    "metadata": ABOUT,
    "status": {"observedGeneration": 2}
    | dict.fromkeys(
        (
            *("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled"),
            *("numberAvailable", "numberReady"),
        ),
        3,
    ),
}


def test_a_daemon_set_is_everywhere_as_it_was_asked_for() -> None:
    assert DaemonSetReadiness().look(DAEMONS).ready
    for counted in DAEMONS["status"]:
        fewer = edited(DAEMONS, f"status.{counted}", 1)
        ready = DaemonSetReadiness().look(fewer).ready
        assert ready is (counted == "desiredNumberScheduled")
    assert not DaemonSetReadiness().look(DAEMONS | {"status": {"observedGeneration": 2}}).ready


STATEFUL: Object = {
    "metadata": ABOUT,
    "spec": {"replicas": 2},
    "status": dict.fromkeys(("observedGeneration", "replicas", "readyReplicas"), 2)
    | {"currentReplicas": 2, "currentRevision": "b", "updateRevision": "b"},
}


def test_a_stateful_set_is_full_and_of_one_revision() -> None:
    assert StatefulSetReadiness(World()).look(STATEFUL).ready
    for key, value in STATEFUL["status"].items():
        worse = edited(STATEFUL, f"status.{key}", 1 if isinstance(value, int) else "a")
        assert not StatefulSetReadiness(World()).look(worse).ready


def test_a_job_is_done_or_has_given_up() -> None:
    def look(*conditions: Object) -> tuple[bool, bool]:
        status = {"startTime": "now", "conditions": list(conditions)}
        found = JobReadiness(World()).look({"metadata": ABOUT, "status": status})
        return found.ready, found.failed

    assert look() == (False, False)
    assert look({"type": "Complete", "status": "True"}) == (True, False)
    assert look({"type": "Complete", "status": "False"}) == (False, False)
    for reason, failed in (("BackoffLimitExceeded", True), ("Other", False)):
        assert look({"type": "Failed", "status": "True", "reason": reason}) == (False, failed)


def test_a_service_has_nobody_on_the_way_and_the_address_it_asks_for() -> None:
    def look(subsets: list[Object] | None, **spec: Any) -> bool:
        found = {"metadata": {"name": "x", "resourceVersion": "1"}, "subsets": subsets}
        world = World(Endpoints=[] if subsets is None else [found])
        live = {"metadata": ABOUT, "spec": {"selector": {"a": "b"}} | spec, "status": ADDRESS}
        return ServiceReadiness(world, settled_s=0).look(live).ready

    there, coming = {"addresses": [{}]}, {"notReadyAddresses": [{}]}
    assert look([there])
    assert look([])
    assert not look(None)
    assert not look([there, coming])
    assert look(None, type="ExternalName")
    assert look(None, selector=None)
    balanced = {"metadata": ABOUT, "spec": {"type": "LoadBalancer"}}
    assert not ServiceReadiness(World(), settled_s=0).look(balanced).ready
    assert ServiceReadiness(World(), settled_s=0).look(balanced | {"status": ADDRESS}).ready


def test_an_ingress_has_an_address_and_its_services_or_has_waited_for_them() -> None:
    backend = {"service": {"name": "shop"}}
    rules = [{"host": "h", "http": {"paths": [{"path": "/", "backend": backend}]}}]
    live: Object = {"metadata": ABOUT, "spec": {"rules": rules}, "status": ADDRESS}
    known = {"metadata": {"name": "shop", "resourceVersion": "1"}}
    outside = {"metadata": {"name": "shop"}, "spec": {"type": "ExternalName"}}
    long = 1e9
    assert IngressReadiness(World(Endpoints=[known]), long).look(live).ready
    assert IngressReadiness(World(Service=[outside]), long).look(live).ready
    assert not IngressReadiness(World(), long).look(live).ready
    assert IngressReadiness(World(), 0).look(live).ready  # passed over once all has settled
    bare = live | {"status": {}}
    assert not IngressReadiness(World(Endpoints=[known]), 0).look(bare).ready


def test_a_pod_is_ready_or_has_ended_well() -> None:
    def look(phase: str, *met: str) -> bool:
        kinds = ("PodScheduled", "Initialized", "Ready")
        rows = [{"type": kind, "status": str(kind in met)} for kind in kinds]
        return (
            PodReadiness()
            .look({"metadata": ABOUT, "status": {"phase": phase, "conditions": rows}})
            .ready
        )

    assert look("Running", "PodScheduled", "Initialized", "Ready")
    assert not look("Running", "PodScheduled", "Initialized")
    assert look("Succeeded", "PodScheduled", "Initialized")
    assert not look("Succeeded", "Initialized")


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("condition=Ready", True),
        ("condition=ready", True),
        ("condition=Ready=False", False),
        ("condition=Old", False),
        ("condition=Absent", False),
        ("jsonpath={.status.phase}=Up", True),
        ("jsonpath={.status.phase}=Down", False),
        ("jsonpath={.status.none}", False),
        ('["condition=Ready", "jsonpath={.status.phase}=Up"]', True),
        ('["condition=Ready", "jsonpath={.status.phase}=Down"]', False),
        ('["jsonpath={.status.phase}=Down", "condition=Ready"]', False),
    ],
)
def test_what_a_program_waits_for(text: str, ready: bool) -> None:  # noqa: FBT001  # a table's row
    rows = [
        {"type": "Ready", "status": "True", "observedGeneration": 2},
        {"type": "Old", "status": "True", "observedGeneration": 1},
    ]
    live = {"metadata": ABOUT, "status": {"phase": "Up", "conditions": rows}}
    assert parse_conditions(text).look(live).ready is ready
    stale = {"metadata": ABOUT, "status": live["status"] | {"observedGeneration": 1}}
    if "jsonpath" in text:
        assert not parse_conditions(text).look(stale).ready


@pytest.mark.parametrize("text", ["Ready", "[]", "jsonpath=.a", "jsonpath={.a}=", "condition="])
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_conditions(text)


def test_how_long_is_said_by_the_option_else_by_the_annotation() -> None:
    noted = {"metadata": {"annotations": {"pulumi.com/timeoutSeconds": "90"}}}
    assert read_timeout_s(0, noted) == 90
    assert read_timeout_s(5, noted) == 5
    assert read_timeout_s(0, {}) == 0
