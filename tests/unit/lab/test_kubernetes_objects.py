"""Objects of the stand-in for pulumi-kubernetes: what is secret in a state, what differs, how."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopback_iac.engine.values import Secret
from loopback_iac.lab.kubernetes.comparing import diff_objects, list_fixed
from loopback_iac.lab.kubernetes.objects import AUTONAMED, prune, render_state, render_values
from loopback_iac.lab.kubernetes.settings import Settings

NAMED = {"name": "x", "namespace": "n"}


def config_map(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(NAMED), **more}


def test_what_a_secret_holds_is_secret_whoever_wrote_it() -> None:
    thing = {"kind": "Secret", "metadata": NAMED, "data": {"a": "b"}, "stringData": {"c": "d"}}
    made = render_values(thing, {})
    assert {key for key, value in made.items() if isinstance(value, Secret)} == {
        "data",
        "stringData",
    }


def test_elsewhere_a_value_is_secret_where_the_program_said_so() -> None:
    given = config_map(data={"a": Secret("1"), "b": "2"}, binaryData=Secret({"c": "Mw=="}))
    made = render_values(config_map(data={"a": "1", "b": "2"}, binaryData={"c": "Mw=="}), given)
    assert isinstance(made["data"]["a"], Secret)
    assert made["data"]["b"] == "2"
    assert isinstance(made["binaryData"], Secret)
    # a list with one secret in it is a secret
    listed = render_values(config_map(items=["1", "2"]), config_map(items=["1", Secret("2")]))
    assert isinstance(listed["items"], Secret)


def test_no_copy_of_an_object_in_its_notes_gets_into_the_state() -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    noted = NAMED | {"annotations": {last: '{"data":{"a":"hunter2"}}', "kept": "yes"}}
    live = config_map(data={"a": "hunter2"}) | {"metadata": noted}
    given = config_map(data={"a": Secret("hunter2")})
    state = render_state(config_map(data={"a": "hunter2"}), live, given, "v1", "manager")
    assert state["metadata"]["annotations"] == {"kept": "yes"}
    assert isinstance(state["__inputs"]["data"]["a"], Secret)
    assert isinstance(state["data"]["a"], Secret)
    assert "hunter2" not in json.dumps(state, default=lambda _: "[secret]")
    assert noted["annotations"][last]  # of the object itself nothing is taken


def test_quantities_are_compared_by_what_they_mean() -> None:
    def parts(old: str, new: str, where: str = "limits") -> int:
        olds, news = config_map(spec={where: {"cpu": old}}), config_map(spec={where: {"cpu": new}})
        return len(diff_objects(olds, olds, news, [], ()).parts)

    assert parts("1000m", "1") == 0
    assert parts("1000m", "1100m") == 1
    assert parts("1000m", "many") == 1
    assert parts("1000m", "1", "labels") == 1


@pytest.mark.parametrize(
    ("about", "first"),
    [
        (NAMED, True),
        (NAMED | {"annotations": {AUTONAMED: "true"}}, False),
        ({"name": "y", "namespace": "n"}, False),
        ({"name": "x", "namespace": "m"}, False),
    ],
)
def test_what_bears_the_same_name_is_deleted_first(about: dict[str, Any], first: bool) -> None:  # noqa: FBT001  # a table's row
    olds, news = config_map(data={"a": "1"}), config_map(data={"a": "2"}) | {"metadata": about}
    fixed = list_fixed(news, Settings(), patch=False)
    found = diff_objects(olds, olds, news, [], fixed)
    assert found.replacing
    assert found.delete_first is first


def test_which_changes_replace() -> None:
    identity = ("metadata.name", "metadata.namespace")
    mutable = Settings(configmap_mutable=True, secret_mutable=True)
    locked = config_map(immutable=True)
    secret = {"apiVersion": "v1", "kind": "Secret"}
    assert list_fixed(config_map(), mutable, patch=False) == identity
    assert set(list_fixed(locked, mutable, patch=False)) == {*identity, "data", "binaryData"}
    assert list_fixed(config_map(), Settings(), patch=True) == identity
    assert list_fixed(secret, mutable, patch=False) == (*identity, "type")
    assert {"data", "stringData", "type"} <= set(list_fixed(secret, Settings(), patch=False))


def test_an_object_is_seen_as_far_as_it_was_asked_for() -> None:
    live = {"spec": {"a": 1, "b": [{"c": 2, "d": 3}]}, "status": {"e": 4}}
    like = {"spec": {"a": 0, "b": [{"c": 0}], "none": [], "gone": 5}}
    assert prune(live, like) == {"spec": {"a": 1, "b": [{"c": 2}], "none": []}}
