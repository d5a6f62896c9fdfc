"""Secret marks: replaced, or refused with the name and never the value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.agent.marks import replace_marks
from loopback_iac.agent.refusal import RefusedError

PATH = "/etc/bird/bird.conf"


def test_every_mark_gets_its_value():
    text = 'password "@{secret:md5-fra1-t1}"; # @{secret:b}\n@{secret:b}\n'
    done = replace_marks(PATH, text, {"md5-fra1-t1": "s3 cret", "b": "x", "unused": "y"})
    assert done == 'password "s3 cret"; # x\nx\n'


def test_a_value_is_not_searched_for_marks_again():
    assert replace_marks(PATH, "@{secret:a}", {"a": "@{secret:b}"}) == "@{secret:b}"


@pytest.mark.parametrize(
    "text", ["@{vault:a}", "@{secret:}", "@{secret:a b}", "@{", "x @{secret:a", "@{secret:-a}"]
)
def test_a_mark_of_another_form_is_refused(text):
    with pytest.raises(RefusedError, match="no mark the agent knows"):
        replace_marks(PATH, text, {"a": "x", "-a": "y"})


def test_a_missing_value_is_refused_by_name():
    with pytest.raises(RefusedError, match="needs the secret 'md5-x'") as refused:
        replace_marks(PATH, "@{secret:md5-x}", {"md5-y": "hidden"})
    assert "hidden" not in refused.value.what + refused.value.fix


@pytest.mark.parametrize("value", ["a\nb", 'a"b', "a'b", "a\\b", "a\rb", "a\0b", "\x7f", "a`b", ""])
def test_a_value_that_could_leave_its_quotes_is_refused_unseen(value):
    with pytest.raises(RefusedError) as refused:
        replace_marks(PATH, '"@{secret:a}"', {"a": value})
    assert "'a'" in refused.value.what
    assert not value or value not in refused.value.what


KEY = "-----BEGIN PRIVATE KEY-----\nMIGH+/==\nAAAA\n-----END PRIVATE KEY-----\n"


def test_a_private_key_is_a_file_of_its_own():
    assert replace_marks(PATH, "@{secret:key}", {"key": KEY}) == KEY


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('x "@{secret:key}"', KEY),
        ("@{secret:key}", KEY + "user root\n"),
        ("@{secret:key}", KEY.replace("AAAA", "AA AA")),
        ("@{secret:key}", KEY.replace("END PRIVATE", "END PUBLIC")),
        ("@{secret:key}", "one\ntwo\n"),
    ],
)
def test_nothing_else_of_several_lines_is_taken(text, value):
    with pytest.raises(RefusedError, match="a control character") as refused:
        replace_marks(PATH, text, {"key": value})
    assert "AAAA" not in refused.value.what


@given(
    st.text(st.characters(codec="ascii", exclude_characters="\"'\\`", min_codepoint=32), min_size=1)
)
def test_any_other_value_arrives_whole(value):
    if "\x7f" in value:
        return
    assert replace_marks(PATH, '["@{secret:a}"]', {"a": value}) == f'["{value}"]'
