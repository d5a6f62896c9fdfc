"""What is refused of facts: everything at once, with path, what came, what is needed, the fix."""

from __future__ import annotations

import json

import pytest

from loopback_iac.incident import parse_facts
from loopback_iac.model import InputRejected
from tests.unit.incident.facts_of import DETECTED, NOW, facts, tree


def refused(**changes):
    with pytest.raises(InputRejected) as caught:
        facts(**changes)
    assert all(problem.got and problem.fix and problem.rule for problem in caught.value.problems)
    return {problem.path: problem.rule for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("changes", "path", "rule"),
    [
        ({"detected_at": "2026-11-20T02:13:00"}, "detected_at", "moment-zone"),
        ({"detected_at": "2026-11-20"}, "detected_at", "moment-zone"),
        ({"detected_at": "yesterday"}, "detected_at", "moment"),
        ({"detected_at": "0001-01-01T00:00:00+14:00"}, "detected_at", "moment"),
        ({"aware_at": "9999-12-31T23:59:59-12:00"}, "aware_at", "moment"),
        ({"detected_at": "unknown"}, "detected_at", "moment"),
        ({"detected_at": "2026-11-22T12:05:00Z"}, "detected_at", "moment-future"),
        ({"aware_at": "2027-01-01T00:00:00Z"}, "aware_at", "moment-future"),
        ({"aware_at": "2026-11-20T01:00:00Z"}, "aware_at", "moment-order"),
        ({"began_at": "2026-11-20T02:00:00Z"}, "detected_at", "moment-order"),
        ({"ended_at": "maybe"}, "ended_at", "moment"),
        ({"measures": [{"what": "x", "at": "2030-01-01T00:00:00Z"}]}, "measures[0].at",
         "moment-future"),
        ({"earlier": [{"id": "a", "detected_at": "2026-11-21T00:00:00Z"}]},
         "earlier[0].detected_at", "moment-order"),
        ({"submitted": {"early_warning": "2026-11-22T00:00:00Z",
                        "notification": "2026-11-21T00:00:00Z"}},
         "submitted.notification", "moment-order"),
        ({"colour": "red"}, "colour", "field-unknown"),
        ({"service__unavailable": 3}, "services[0].unavailable", "field-unknown"),
        ({"malicious": "perhaps"}, "malicious", "answer"),
        ({"loss_eur": -1}, "loss_eur", "amount"),
        ({"loss_eur": True}, "loss_eur", "amount"),
        ({"loss_eur": "12"}, "loss_eur", "amount"),
        ({"loss_eur": {}}, "loss_eur", "amount"),
        ({"loss_eur": {"at_least": 2, "at_most": 1}}, "loss_eur", "amount"),
        ({"zone": "Mars/Phobos"}, "zone", "zone-name"),
        ({"zone": "../../etc/passwd"}, "zone", "zone-name"),
        ({"id": "../up"}, "id", "name-dns-label"),
        ({"format": 2}, "format", "field-range"),
        ({"services": []}, "services", "services-empty"),
        ({"service__kind": "dnss"}, "services[0].kind", "field-choice"),
        ({"service__users_affected": 3, "service__users_total": 2}, "services[0].users_affected",
         "part-over-whole"),
        ({"began_at": "2026-11-20T01:00:00Z", "ended_at": "2026-11-20T01:30:00Z",
          "service__unavailable_minutes": 45}, "services[0].unavailable_minutes",
         "minutes-too-many"),
        ({"evidence": [{"path": "a"}, {"path": "a"}]}, "evidence[1]", "facts-twice"),
    ],
)  # fmt: skip
def test_refused(changes, path, rule):
    assert refused(**changes) == {path: rule}


def test_everything_wrong_is_said_at_once():
    found = refused(zone="x", colour="red", loss_eur=-1, service__kind="dnss", title="")
    assert set(found) == {"zone", "colour", "loss_eur", "services[0].kind", "title"}


@pytest.mark.parametrize("text", ["", "- a", "a: [", "\x00", "a: 1\na: 2", "!!python/name:os.x 1"])
def test_what_is_no_map_is_refused(text):
    with pytest.raises(InputRejected):
        parse_facts("f", text, NOW)


def test_a_key_that_stands_twice_is_named():
    text = json.dumps(tree())[:-1] + ', "title": "Another"}'
    with pytest.raises(InputRejected, match="title stands twice"):
        parse_facts("f", text, NOW)


def test_what_is_left_out_is_unknown_and_nothing_is_made_up():
    found = facts()
    assert (found.began_at, found.aware_at, found.ended_at, found.earlier) == (None,) * 4
    assert (found.malicious, found.cross_border, found.scheduled) == ("unknown",) * 3
    assert found.clock_from == found.detected_at
    assert not found.loss_eur.known
    assert found == facts(malicious="unknown", began_at="unknown", loss_eur="unknown")


def test_words_of_yaml_are_answers():
    text = f"{{format: 1, id: a, title: t, entity: {{name: n}}, detected_at: {DETECTED}, death: no,"
    text += " malicious: yes, services: [{name: s}]}"
    found = parse_facts("f", text, NOW)
    assert (found.death, found.malicious, found.detected_at.isoformat()) == (
        "no", "yes", "2026-11-20T01:13:00+00:00"
    )  # fmt: skip
