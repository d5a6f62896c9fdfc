"""What the stand-in waits for, before real controllers; pods are what `hands` says they are."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine.answers import PartialError
from tests.cluster.api import definition
from tests.cluster.hands import BROKEN, DONE, FAILED, READY, Hands
from tests.cluster.test_standin import MAP, config_map, deployment, fails

if TYPE_CHECKING:
    from loopback_iac.lab.cluster.control import ControlPlane
    from tests.cluster.api import Api
    from tests.cluster.plugin import Plugin

DEPLOYMENT, JOB = "apps/v1:Deployment", "batch/v1:Job"


def of_pods(kind: str, name: str) -> dict[str, Any]:
    news = deployment(name)
    if kind == "Job":
        news["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        return {**news, "spec": {"template": news["spec"]["template"], "backoffLimit": 0}}
    if kind == "StatefulSet":
        news["spec"]["serviceName"] = name
    return news


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (DEPLOYMENT, READY),
        ("apps/v1:StatefulSet", READY),
        ("apps/v1:DaemonSet", READY),
        (JOB, DONE),
    ],
)
def test_a_workload_is_ready_when_its_pods_are(
    plugin: Plugin, api: Api, token: str, status: dict[str, Any]
) -> None:
    kind = token.rpartition(":")[2]
    with Hands(api, status):
        thing = plugin.create("w", token, of_pods(kind, "w"))
        assert thing.ident == f"{api.namespace}/w"
        found = thing.state["status"]
        if kind != "Job":
            assert found["observedGeneration"] == 1
            news = of_pods(kind, "w")
            news["spec"]["template"]["metadata"]["annotations"] = {"roll": "out"}
            plugin.update(thing, news)
            assert thing.state["status"]["observedGeneration"] == 2
        else:
            assert found["succeeded"] == 1
        assert plugin.read(thing)
        plugin.delete(thing)


def test_a_pod_is_ready_when_it_says_so(plugin: Plugin, api: Api) -> None:
    spec = {"containers": [{"name": "c", "image": "none"}], "terminationGracePeriodSeconds": 0}
    with Hands(api, READY):
        thing = plugin.create("p", "core/v1:Pod", {"metadata": {"name": "p"}, "spec": spec})
        assert any('Waiting for Pod "' in text for text in plugin.said)
        plugin.delete(thing)


@pytest.mark.parametrize(
    ("token", "status", "told"),
    [
        (DEPLOYMENT, None, ["'w' timed out", "Minimum number of live Pods was not attained"]),
        ("apps/v1:StatefulSet", None, ["'w' timed out", "0 out of 1 replicas succeeded"]),
        (JOB, None, ["'w' timed out"]),
        (JOB, FAILED, ["Resource 'w' was created but failed", "[BackoffLimitExceeded] Job has"]),
    ],
)
def test_what_does_not_become_ready_is_kept_with_the_reasons(
    plugin: Plugin,
    api: Api,
    token: str,
    status: dict[str, Any] | None,
    told: list[str],
) -> None:
    kind = token.rpartition(":")[2]
    patient = 30.0 if status is FAILED else 3.0
    with Hands(api, status) if status else nullcontext(), pytest.raises(PartialError) as found:
        plugin.create("w", token, of_pods(kind, "w"), timeout=patient)
    text = str(found.value)
    assert f"failed to fully initialize or become live: {told[0]}" in text
    for reason in told:
        assert reason in text
    assert found.value.ident == f"{api.namespace}/w"
    assert found.value.outputs["__inputs"]["spec"]


def test_a_look_at_what_is_not_ready_says_so_and_keeps_it(plugin: Plugin, api: Api) -> None:
    news = deployment("w", **{"pulumi.com/skipAwait": "true"})
    thing = plugin.create("w", DEPLOYMENT, news)
    assert plugin.read(thing)  # nobody waits for it
    thing.inputs["metadata"].pop("annotations")
    with Hands(api, BROKEN):
        while "containerStatuses" not in str(api.cluster.request("GET", api.path("pods"))):
            time.sleep(0.1)
    text = fails(lambda: plugin.read(thing), PartialError)
    assert "Resource 'w' was created but failed to initialize" in text
    assert "Minimum number of live Pods was not attained" in text
    assert "containers with unready status: [c][ErrImagePull] no such image" in text
    assert api.names("deployments") == ["w"]


def test_a_service_waits_for_its_address_and_an_ingress_for_its_controller(
    plugin: Plugin, api: Api
) -> None:
    service = {
        "metadata": {"name": "s"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "w"}, "ports": [{"port": 80}]},
    }
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rule = {"host": "www.example.com", "http": {"paths": [path]}}
    ingress = {"metadata": {"name": "i"}, "spec": {"rules": [rule]}}
    in_vain = {**service, "metadata": {"name": "never"}}
    text = fails(
        lambda: plugin.create("never", "core/v1:Service", in_vain, timeout=1), PartialError
    )
    assert "Service does not target any Pods." in text
    assert "Service was not allocated an IP address; does your cloud" in text
    text = fails(
        lambda: plugin.create("i", "networking.k8s.io/v1:Ingress", ingress, timeout=1),
        PartialError,
    )
    assert "Ingress has at least one rule with an unavailable target endpoint." in text
    assert ".status.loadBalancer field was not updated with a hostname/IP address" in text
    api.delete("ingresses", "i")
    address = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
    # before its endpoints have settled, 10 s after they changed, a service is not ready
    with (
        api.meanwhile("services", "s/status", "/status", address),
        api.meanwhile("ingresses", "i/status", "/status", address),
        ThreadPoolExecutor() as pool,
    ):
        balanced = pool.submit(plugin.create, "s", "core/v1:Service", service)
        routed = pool.submit(plugin.create, "i", "networking.k8s.io/v1:Ingress", ingress)
    for thing in (balanced.result(), routed.result()):
        assert thing.state["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.10"
    # without pods behind it a headless service is ready when it exists
    headless = {
        "metadata": {"name": "h"},
        "spec": {"clusterIP": "None", "selector": {"app": "w"}, "ports": [{"port": 80}]},
    }
    plugin.create("h", "core/v1:Service", headless, timeout=60)


@pytest.mark.parametrize(
    ("expression", "status"),
    [
        ("condition=Ready", {"conditions": [{"type": "Ready", "status": "True"}]}),
        ("condition=Synced=False", {"conditions": [{"type": "Synced", "status": "False"}]}),
        ("jsonpath={.status.phase}=Running", {"phase": "Running"}),
        ("jsonpath={.status.conditions[?(@.type=='A')].status}=1",
         {"conditions": [{"type": "B", "status": "0"}, {"type": "A", "status": "1"}]}),
        ('["jsonpath={.status.n}", "condition=Ready"]',
         {"n": 1, "conditions": [{"type": "Ready", "status": "True"}]}),
    ],
)  # fmt: skip
def test_a_program_says_itself_what_it_waits_for(
    plugin: Plugin, api: Api, expression: str, status: dict[str, Any]
) -> None:
    group = f"{api.namespace}.example.com"
    made = definition(group, "Thing")
    kind = "apiextensions.k8s.io/v1:CustomResourceDefinition"
    established = {"pulumi.com/waitFor": "condition=Established"}
    metadata = {**made["metadata"], "annotations": established}
    crd = plugin.create("crd", kind, {"metadata": metadata, "spec": made["spec"]})
    news = {"metadata": {"name": "x", "annotations": {"pulumi.com/waitFor": expression}}}
    path = f"/apis/{group}/v1/things"
    with api.meanwhile(path, "x/status", "/status", status):
        thing = plugin.create("x", f"{group}/v1:Thing", news, timeout=60)
    assert thing.state["status"] == status
    plugin.delete(thing)
    plugin.delete(crd)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("replicas=3", 'expected a "jsonpath=" or "condition=" prefix, got "replicas=3"'),
        ("jsonpath=.a=b", ".a should be wrapped in brackets { ... }"),
        ("jsonpath={.a}=b=c", "format should be {.path}=value or {.path}"),
        ("jsonpath={.a}=", "{.a}= requires a value"),
        ("jsonpath={.a[}", 'parsing "{.a[}"'),
        ("[]", "at least one condition must be specified"),
        ("condition=Ready", "timed out waiting for the condition"),
        ("jsonpath={.data}=b", "has a non-primitive value"),
    ],
)
def test_an_expression_that_cannot_come_true_is_told(
    plugin: Plugin, expression: str, text: str
) -> None:
    news = config_map("x", a="1")
    news["metadata"]["annotations"] = {
        "pulumi.com/waitFor": expression,
        "pulumi.com/timeoutSeconds": "1",
    }
    assert text in fails(lambda: plugin.create("x", MAP, news))


def test_an_engine_that_cancels_is_told_what_was_waited_for(plugin: Plugin, api: Api) -> None:
    hurried = threading.Timer(2, plugin.cancel)
    hurried.start()
    with pytest.raises(PartialError) as told:
        plugin.create("w", DEPLOYMENT, deployment("w"))
    hurried.join()
    assert 'Resource operation was cancelled for "w"' in str(told.value)
    assert told.value.ident == f"{api.namespace}/w"


def test_a_wait_outlives_the_api_server(plugin: Plugin, api: Api, plane: ControlPlane) -> None:
    news = config_map("w")
    news["metadata"]["annotations"] = {"pulumi.com/waitFor": "jsonpath={.data.ready}=yes"}
    made: list[Any] = []
    maker = threading.Thread(target=lambda: made.append(plugin.create("w", MAP, news)))
    maker.start()
    while api.names("configmaps") != ["w"]:
        time.sleep(0.1)
    plane.kill("kube-apiserver")
    time.sleep(1)
    assert maker.is_alive()
    plane.start("kube-apiserver")
    plane.await_ready()
    api.set("configmaps", "w", "/data", {"ready": "yes"})
    maker.join(60)
    assert [thing.state["data"] for thing in made] == [{"ready": "yes"}]
