"""What a person reads of a run."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from loopback_iac.cli.showing import render_property, show_result
from loopback_iac.engine.results import Change, Diagnostic, Op, PropertyChange, Result, Severity


def shown(result: Result) -> str:
    out = StringIO()
    show_result(Console(file=out, width=200), result)
    return out.getvalue()


def component(op: Op) -> Change:
    files = {"/etc/b": "one\ntwo\n", "/etc/a": "one\nthree\n"}
    old = None if op is Op.CREATE else {"/etc/b": "one\ntwo\n", "/etc/a": "one\n"}
    part = PropertyChange(path="files", kind="update", old=old, new=files)
    return Change(urn="u", type="t", name="pop", op=op, outputs=(part,))


def test_what_failed_is_said_again_at_the_end():
    wrong = Diagnostic(Severity.ERROR, "no route to host", "urn:pulumi:d::p::t::w2-enroll")
    text = shown(Result(verb="up", stack="d", ok=False, diagnostics=(wrong,)))
    assert text.splitlines()[-2] == "error: w2-enroll: no route to host"
    assert text.splitlines()[-1].startswith("up FAILED")


def test_a_changed_file_is_a_diff_under_its_path():
    text = shown(Result(verb="up", stack="d", ok=True, changes=(component(Op.SAME),)))
    assert 'files["/etc/a"]' in text
    assert "+three" in text
    assert "/etc/b" not in text


def test_a_plan_names_new_files_in_order_and_up_does_not_repeat_them():
    plan = shown(Result(verb="plan", stack="d", ok=True, changes=(component(Op.CREATE),)))
    assert plan.index("/etc/a") < plan.index("/etc/b")
    up = shown(Result(verb="up", stack="d", ok=True, changes=(component(Op.CREATE),)))
    assert "/etc/a" not in up


def test_a_long_value_is_cut_and_says_so():
    part = PropertyChange(path="text", kind="add", new="x" * 500)
    assert "(500 characters)" in "".join(render_property(part))
