"""What an input becomes, byte for byte. UPDATE_GOLDEN=1 rewrites; test_meaning says why."""

from __future__ import annotations

import pytest

from tests.golden import case as golden


@pytest.mark.parametrize("name", golden.names(rejected=True))
def test_rejected(name):
    case = golden.load(name)
    golden.refused(case.folder, case.means, lambda: golden.render(case))


@pytest.mark.parametrize("name", golden.names(rejected=False))
def test_rendered(name):
    case = golden.load(name)
    diff = golden.compare(case.folder, golden.texts(case))
    assert not diff, f"\n{diff}"


@pytest.mark.parametrize("name", golden.names(rejected=False))
def test_rendered_twice_is_the_same(name):
    first, second = golden.render(golden.load(name)), golden.render(golden.load(name))
    assert first == second
    for files in first.values():
        assert list(files.files) == sorted(files.files)
        for path, file in files.files.items():
            assert file.text.endswith("\n"), path
            assert not file.text.endswith("\n\n"), path


def test_a_difference_is_shown_and_left_beside(tmp_path, monkeypatch):
    monkeypatch.delenv("UPDATE_GOLDEN", raising=False)
    (tmp_path / "a.conf").write_text("one\n")
    diff = golden.compare(tmp_path, {"a.conf": "two\n", "b.conf": "new\n"})
    assert "-one" in diff
    assert "+two" in diff
    assert "+new" in diff
    assert (tmp_path / "a.conf.actual").read_text() == "two\n"
    assert golden.compare(tmp_path, {"a.conf": "one\n"}) == ""
    assert not (tmp_path / "a.conf.actual").exists()


def test_rewriting_is_refused_in_ci(tmp_path, monkeypatch):
    monkeypatch.setenv("UPDATE_GOLDEN", "1")
    monkeypatch.setenv("CI", "true")
    (tmp_path / "a.conf").write_text("one\n")
    with pytest.raises(AssertionError, match="not in CI"):
        golden.compare(tmp_path, {"a.conf": "two\n"})
    assert (tmp_path / "a.conf").read_text() == "one\n"
