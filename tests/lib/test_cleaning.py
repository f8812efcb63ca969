"""Cleaning steps: each a pure function with its examples; together they end in plain text."""

import doctest
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import cleaning
from lib.cleaning import Note, clean_text, load_steps, one_text
from lib.settings import STEP_NAMES

ALL = load_steps(["markup", "unicode", "whitespace", "empty", {"short": {"min_words": 3}}])


def test_examples_in_the_docs() -> None:
    assert doctest.testmod(cleaning).failed == 0


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>BP&nbsp;120/80</p><br/>Na &lt; 135", "BP 120/80\nNa < 135"),
        ("temp <38 and HR > 90 today", "temp <38 and HR > 90 today"),
        (r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 Denies pain.\par Caf\'e9 visit.}", "Denies pain.\nCafé visit."),
        ("line one\r\nline two\rline three", "line one\nline two\nline three"),
        ("ﬁbrosis\u00a0of\u200bthe\ufeff liver\x00\x07", "fibrosis of the liver"),
        ("a\t\tb   c\n\n\n d e ", "a b c\nd e"),
        ("<!-- note\nid --> plain text here", "plain text here"),
    ],
)
def test_markup_and_odd_characters_go_and_words_stay(dirty: str, clean: str) -> None:
    assert clean_text(dirty, ALL) == (clean, None)


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "null"), ("", "empty"), ("<br> -- \x00", "empty"), ("see above", "short")]
)
def test_a_dropped_note_has_a_reason(text: str | None, reason: str) -> None:
    assert clean_text(text, ALL) == ("", reason)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_cleaning_is_done_once_and_for_all(text: str) -> None:
    """Without markup, cleaning again changes nothing, and no control character survives."""
    steps = load_steps(["unicode", "whitespace"])
    once, _ = clean_text(text, steps)
    assert clean_text(once, steps) == (once, None)
    assert not any(ord(character) < 32 and character != "\n" for character in once)


def test_a_step_of_the_users_own(tmp_path, monkeypatch) -> None:
    (tmp_path / "house.py").write_text("def unsigned(text, mark):\n    return text.split(mark)[0]\n")
    monkeypatch.chdir(tmp_path)
    steps = load_steps([{"house:unsigned": {"mark": "Signed by"}}])
    assert clean_text("Stable. Signed by X", steps) == ("Stable. ", None)


def note(note_id: int, hour: int | None, text: str, role: str = "note") -> Note:
    time = None if hour is None else datetime(2020, 1, 1, hour)
    return Note(note_id, 1, datetime(2020, 1, 2), time, role, text)


NOTES = [note(3, 9, "second"), note(1, 8, "first"), note(2, 10, "addendum", "addendum")]


@pytest.mark.parametrize(
    ("choose", "addenda", "text", "merged"),
    [
        ("first", "drop", "first", 0),
        ("first", "merge", "first\naddendum", 1),
        ("last_before_index", "drop", "second", 0),
        ("concatenate", "merge", "first\nsecond\naddendum", 1),
    ],
)
def test_a_stay_has_one_text(choose: str, addenda: str, text: str, merged: int) -> None:
    found, count = one_text(NOTES, choose, addenda)
    assert found is not None and (found.text, count) == (text, merged)


def test_an_addendum_alone_is_no_text() -> None:
    assert one_text([NOTES[2]], "first", "merge") == (None, 0)


def test_a_note_without_a_time_comes_first() -> None:
    found, _ = one_text([note(1, 8, "timed"), note(2, None, "untimed")], "first", "merge")
    assert found is not None and found.text == "untimed"


def test_the_workflow_knows_every_step_by_name() -> None:
    assert tuple(cleaning.STEPS) == STEP_NAMES
