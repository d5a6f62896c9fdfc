"""The agent's metrics as text, and BFD sessions that flap between two looks."""

import pytest

from loopback_iac.agent.metrics import (
    BfdSessions,
    Metric,
    Sample,
    count_limits,
    parse_bfd,
    render_metrics,
)

TABLE = """\
1020-bfd1:
     IP address                Interface  State      Since         Interval  Timeout
     2001:db8:ff:2::           t2         Up         2026-11-21 02:19:27.179    0.050    0.150
     192.0.2.0                 t1         Down       02:19:26.635    1.000    0.000
0000
""".splitlines()


def test_bfd_sessions_are_read_whatever_the_time_format():
    assert parse_bfd(TABLE) == {
        ("192.0.2.0", "t1"): (False, "02:19:26.635"),
        ("2001:db8:ff:2::", "t2"): (True, "2026-11-21 02:19:27.179"),
    }
    assert parse_bfd(["0000 There is no BFD protocol running"]) == {}


def test_a_flap_between_two_looks_counts_and_a_first_look_does_not():
    sessions = BfdSessions()
    key = ("192.0.2.0", "t1")

    def changes(up, since):
        _, counted = sessions.count({key: (up, since)})
        return [sample.value for sample in counted.samples]

    assert changes(up=True, since="1") == [0]
    assert changes(up=True, since="1") == [0]
    assert changes(up=True, since="2") == [1]  # down and up again meanwhile
    assert changes(up=False, since="3") == [2]
    assert sessions.count({})[0].samples == []  # bird is dead: nothing is claimed
    assert changes(up=True, since="4") == [3]


def test_each_limit_counts_for_itself_and_silence_is_no_sample():
    new, limited = count_limits(
        {
            "https": {
                "new_connections": 9,
                "dropped": {"new_connections": 4, "concurrent_per_client": None},
            },
            "smtp": {"new_connections": None, "dropped": {}},
        }
    )
    assert new.samples == [Sample(9, (("service", "https"),))]
    assert limited.samples == [
        Sample(4, (("limit", "new_connections"), ("service", "https"))),
        Sample(0, (("limit", "none"), ("service", "smtp"))),
    ]


def test_text_is_what_prometheus_reads():
    found = [
        Metric("a_total", "counter", "Of a.", [Sample(1795228504), Sample(3, (("x", 'q"\\\n'),))]),
        Metric("b", "gauge", "Of b.", [Sample(0.000181), Sample(value=True)]),
        Metric("c", "gauge", "Nothing is known.", []),
    ]
    assert render_metrics(found) == (
        "# HELP a_total Of a.\n# TYPE a_total counter\na_total 1795228504\n"
        'a_total{x="q\\"\\\\\\n"} 3\n'
        "# HELP b Of b.\n# TYPE b gauge\nb 0.000181\nb 1\n"
    )


@pytest.mark.parametrize("unit", ["loopback-metrics.service", "prometheus-node-exporter.service"])
def test_a_changed_exporter_is_restarted_without_a_drain(unit):
    from loopback_iac.agent.bundle import SetFile  # noqa: PLC0415 - only here
    from loopback_iac.agent.disturbing import touches_data_plane  # noqa: PLC0415
    from loopback_iac.agent.plan import Step, plan_steps  # noqa: PLC0415

    drop_in = "" if unit.startswith("loopback") else ".d/loopback.conf"
    path = f"/etc/systemd/system/{unit}{drop_in}"
    new = {path: SetFile("", 0o644, "root", "root")}
    name = unit.removesuffix(".service")
    assert plan_steps([path], {}, new, "pop") == [Step("units"), Step("exporter", name)]
    assert not touches_data_plane([path], "pop")
