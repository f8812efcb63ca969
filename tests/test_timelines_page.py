"""The page of histories is what the histories give, and it leaves none out."""

import yaml

import timelines_page
from wrong_queries import WRONG


def test_the_committed_page_is_the_one_made_from_the_histories() -> None:
    text = timelines_page.SOURCE.read_text(encoding="utf-8")
    assert timelines_page.PAGE.read_text(encoding="utf-8") == timelines_page.page(text), "run `make docs`"


def test_every_history_and_every_wrong_query_is_told() -> None:
    text = timelines_page.SOURCE.read_text(encoding="utf-8")
    page = timelines_page.page(text)
    names = [told["name"] for told in yaml.safe_load(text)]
    assert [name for name in names if page.count(f"| **{name}** |") != 1] == []
    assert [wrong.mistake for wrong in WRONG if f"| {wrong.mistake} | {wrong.history} |" not in page] == []


def test_a_history_in_plain_words() -> None:
    text = """
# --- Deaths -------

- name: Back
  because: So it is.
  died: 2014-03-09
  stays:
    1: {in: 2014-03-01 10:00, out: 2014-03-02, to: against advice, summary: none, codes: [[I10, 2014-03-04]]}
  notes:
    - {stay: 1, class: summary, filed: 2014-03-02 23:59:30, addendum: true}
  expect:
    1: {discharge: none, readmission: no_note, mortality: 0, length_of_stay_days: 1}
  also:
    - with: {use_dates: false}
      expect:
        1: {discharge_texts: []}
"""
    assert [line for line in timelines_page.page(text).splitlines() if line.startswith("| **")] == [
        "| **Back** | Stay 1: 1 Mar 2014, 10:00 to 2 Mar 2014; left against advice; no summary; "
        "codes `I10` of 4 Mar 2014.<br>Note 1: summary (addendum) of stay 1, filed 2 Mar 2014, 23:59:30."
        "<br>Died 9 Mar 2014. | Stay 1: no prediction at discharge; readmission within 30 days: *no note*; "
        "death in hospital within 60 days: no; length of stay: 1 day."
        "<br>*With* `use_dates: false`: Stay 1: read at discharge: nothing. | So it is. |"
    ]
