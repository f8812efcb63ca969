"""Queries with one plausible mistake each. The named histories and the random ones have to catch every one of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import omop_db


@dataclass(frozen=True)
class Wrong:
    """`right` is written `wrong` in the query of `cohort` and `kind`: `mistake`, in words, which falsifies `task`.

    `history` is a named one that contradicts it; random ones do under the settings `given`, with as few as `stays`.
    """

    task: str
    mistake: str
    right: str
    wrong: str
    history: str
    stays: int = 1
    cohort: str = "admission"
    kind: str = "labels"
    given: dict[str, Any] = field(default_factory=dict)

    def written(self, folder: Path) -> dict[tuple[str, str], str]:
        """The wrong query as a file in `folder`, by cohort and kind."""
        name = f"{self.cohort}{'.labels' if self.kind == 'labels' else ''}.sql"
        sql = (omop_db.ROOT / omop_db.OMOP / name).read_text(encoding="utf-8")
        assert self.right in sql, f"{name} has no '{self.right}'"
        (folder / name).write_text(sql.replace(self.right, self.wrong), encoding="utf-8")
        return {(self.cohort, self.kind): str(folder / name)}


def _readmission(mistake: str, right: str, wrong: str, history: str, stays: int = 1, **other: Any) -> Wrong:
    return Wrong("readmission", mistake, right, wrong, history, stays, "discharge", **other)


# The mistake in words, what is right, what is wrong, the history that contradicts it, the stays that show it.
WRONG = [
    _readmission(
        "Day 30, to the minute, does not count.",
        "event_time <= horizon_time",
        "event_time < horizon_time",
        "Readmitted 30 days after discharge, to the minute",
        2,
    ),
    _readmission(
        "The 30 days are counted from the summary.",
        "ELSE datetime(clock.anchor_time, '+' || :readmission_horizon_days",
        "ELSE datetime(clock.index_time, '+' || :readmission_horizon_days",
        "The window is counted from discharge, not from the late summary",
        2,
    ),
    _readmission(
        "A transfer on the day of discharge counts.",
        "date(other.start_time) > date(placed.anchor_time)",
        "other.start_time > placed.anchor_time",
        "Transferred to another hospital",
        2,
    ),
    _readmission(
        "Planned stays never count, whatever the key says.",
        "IN (:planned_values) AND :count_planned = 0",
        "IN (:planned_values)",
        "Planned readmission for the second cycle",
        2,
        given={"count_planned": True, "planned_values": ["ELECTIVE"]},
    ),
    _readmission(
        "A discharge while another stay goes on is one.",
        "WHEN in_hospital = 1 THEN 'still_in_hospital'",
        "",
        "Two stays that overlap by a day",
        2,
    ),
    _readmission(
        "A death with the date of discharge alone was at home.",
        "passing.earliest <= placed.anchor_time",
        "passing.latest <= placed.anchor_time",
        "The death date is the day of discharge, no time",
    ),
    _readmission(
        "Early positives count before their peers are known.",
        "WHEN datetime(index_time, '+' || (:readmission_horizon_days",
        "WHEN readmitted = 1 THEN NULL WHEN datetime(index_time, '+' || (:readmission_horizon_days",
        "Readmitted, and the data end before the horizon",
        2,
        given={"known_until": "2014-04-20"},
    ),
    _readmission(
        "A summary filed 72 hours after discharge is too late.",
        "summary.first_available > datetime(stay.anchor_time, '+'",
        "summary.first_available >= datetime(stay.anchor_time, '+'",
        "The summary is filed 72 hours after discharge",
    ),
    _readmission(
        "Another patient's note is taken.",
        "AND note.person_id = stay.person_id",
        "",
        "Another patient's summary under this stay",
    ),
    _readmission(
        "The department of admission does not make a newborn's stay.",
        "WHEN first_site.care_site_name IN (:newborn_departments) THEN 1",
        "",
        "Began in the newborn unit",
    ),
    _readmission(
        "An addendum alone makes a stay predictable.",
        "min(CASE WHEN note_role = 'note' THEN available END)",
        "min(available)",
        "An addendum without its summary",
        kind="text",
    ),
    _readmission(
        "A summary without a visit belongs to the stay that goes on.",
        "WHEN end_time <= available AND",
        "WHEN 1 = 0 AND",
        "Notes that belong to no visit, and a transfer",
        2,
        given={"notes_by_time": True},
    ),
    Wrong(
        "mortality",
        "A history without a visit belongs to the first stay that had begun.",
        "ORDER BY start_time DESC,",
        "ORDER BY start_time,",
        "Notes that belong to no visit, and two stays",
        2,
        given={"notes_by_time": True},
    ),
    Wrong(
        "mortality",
        "A patient who died as the note was filed is alive.",
        "AND history.first_available < coalesce(stay.death_time,",
        "AND history.first_available <= coalesce(stay.death_time,",
        "Died the minute the history and physical was filed",
    ),
    Wrong(
        "mortality",
        "A death with the date of discharge alone was at home.",
        "placed.earliest_death <= placed.left_time",
        "placed.death_time <= placed.left_time",
        "The death date is the day of discharge, no time",
    ),
    Wrong(
        "mortality",
        "A death at home counts.",
        "placed.earliest_death <= placed.left_time",
        "placed.earliest_death <= datetime(placed.anchor_time, '+60 days')",
        "Died at home on day 20",
    ),
    Wrong(
        "mortality",
        "The 60 days are counted from the note.",
        "left_time > datetime(anchor_time, '+' || :mortality_horizon_days",
        "left_time > datetime(index_time, '+' || :mortality_horizon_days",
        "In hospital for 60 days and a minute",
    ),
    Wrong(
        "mortality",
        "A history filed 24 hours after admission is too late.",
        "history.first_available <= datetime(stay.anchor_time,",
        "history.first_available < datetime(stay.anchor_time,",
        "The history and physical is filed 24 hours after admission",
    ),
    Wrong(
        "mortality",
        "All histories are read, not the first alone.",
        "min(CASE WHEN note_role",
        "max(CASE WHEN note_role",
        "A history before admission and one after",
        kind="text",
    ),
    Wrong(
        "length_of_stay_days",
        "Days are 24 hours, not midnights.",
        "julianday(date(placed.left_time)) - julianday(date(placed.anchor_time))",
        "julianday(placed.left_time) - julianday(placed.anchor_time)",
        "Twenty minutes around midnight",
    ),
    Wrong(
        "length_of_stay_days",
        "A stay longer than the horizon has a length.",
        "OR left_time > datetime(anchor_time, '+' || :length_of_stay_days_horizon_days || ' days')",
        "",
        "In hospital for 70 days",
    ),
    Wrong(
        "length_of_stay_days",
        "A discharge after the end of the data is known.",
        "OR left_time > :known_until",
        "",
        "Discharged after the data end",
        given={"known_until": "2014-04-20"},
    ),
    Wrong(
        "charlson",
        "No codes are 0 points.",
        "present.score AS charlson",
        "coalesce(present.score, 0) AS charlson",
        "Coded, and none of it counts",
    ),
    Wrong(
        "charlson",
        "The milder condition counts beside the graver.",
        "max(coalesce(code_point.weight, 0)) AS weight",
        "sum(coalesce(code_point.weight, 0)) AS weight",
        "The graver condition replaces the milder",
    ),
    Wrong(
        "charlson",
        "Codes count whenever they arrive.",
        "<= coded.until_time",
        "< '9999'",
        "A code that arrived a hundred days later",
    ),
    Wrong(
        "charlson",
        "All codes are read as ICD-9-CM.",
        "condition_start_date < date(:icd10_from) THEN 'ICD9CM'",
        "condition_start_date < '9999' THEN 'ICD9CM'",
        "ICD-9-CM before October 2015, ICD-10-CM after",
    ),
    Wrong(
        "denial",
        "Paid after appeal is paid.",
        "status IN (:denied_statuses)",
        "status = 'final, adverse determination'",
        "Denied, then paid after appeal",
    ),
    Wrong(
        "denial",
        "A pending claim beside a paid one is paid.",
        "min(CASE WHEN status IN (:paid_statuses)",
        "max(CASE WHEN status IN (:paid_statuses)",
        "One claim paid, one pending",
    ),
    Wrong(
        "denial",
        "A stay in progress needs no time of admission.",
        "WHEN has_times = 0 AND :use_dates = 0",
        "WHEN has_times = 0 AND end_time IS NOT NULL AND :use_dates = 0",
        "Still a patient, admitted on a date without a time",
        given={"use_dates": False},
    ),
    Wrong(
        "denial",
        "Decisions count whenever they are made.",
        "WHEN date(claimed.decided_date) || ' 23:59:59'",
        "WHEN '0' || date(claimed.decided_date)",
        "Denied after 200 days",
    ),
]
