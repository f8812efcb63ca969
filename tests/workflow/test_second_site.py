"""The demo hospital under a second site's conventions: what parameters alone bring back, and what nothing can.

docs/second-site.md tells a reader the same; its counts are compared with those found here.
"""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import omop_db
import replay
import replay_job
import second_site
import tried
from lib import shards
from second_site import YEARS, old_id

DEMO: dict[str, Any] = {"seed": 1, "patients": 1000, "start": "2011-01-01", "end": "2021-12-31", "note_words": 30}
DEMO |= {"cue_share": 0.2, "late": 0.0, "dirt": 0.1, "leak": []}
PAGE = omop_db.ROOT / "docs" / "second-site.md"
CLASSES = {"discharge": 44814637, "admission": 44814638}
DELAY = {cohort: timedelta(hours=omop_db.PARAMETERS[cohort]["max_delay_hours"]) for cohort in CLASSES}
Rows = dict[tuple[str, int], dict[str, Any]]

MOVED = "a note is taken for another stay's, or one under no visit for this one's"
GONE = "the history was written on the day that the patient left, after that"
MIDNIGHT = "the history was written within a day of admission, on the next calendar day"
THIRD = "the summary was written on the third day after discharge, more than 72 hours after"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    return omop_db.demo(folder, DEMO).parent


@pytest.fixture(scope="module")
def first(hospital: Path) -> Rows:
    return asked(hospital / "database", 0, {})


@pytest.fixture(scope="module")
def second(hospital: Path) -> Rows:
    return asked(second_site.rewrite(hospital / "database", hospital / "second"), YEARS, second_site.PARAMETERS)


def asked(database: Path, later: int, parameters: dict[str, dict[str, Any]], **changed: Any) -> Rows:
    """By cohort and visit, in the first site's ids and years: labels, reasons, features, index time and notes."""
    found: Rows = {}
    for cohort in CLASSES:
        given = {"window": (f"{2011 + later}-01-01", f"{2022 + later}-01-01"), "known_until": f"{2022 + later}-01-01"}
        given |= parameters.get(cohort, {}) | changed
        rows = omop_db.run(database, omop_db.settings(cohort, "labels", **given)).to_pylist()
        for row in rows:
            told = {name: value for name, value in row.items() if name.startswith(("label_", "reason_", "feature_"))}
            index = row["index_time"]
            told |= {"index_time": index and index.replace(year=index.year - later), "notes": set()}
            found[cohort, _old(row["visit_id"])] = told
        for row in omop_db.run(database, omop_db.settings(cohort, "text", **given)).to_pylist():
            found[cohort, _old(row["visit_id"])]["notes"].add((_old(row["note_id"]), row["text"]))
    return found


def _old(number: int) -> int:
    return old_id(number) if number < 0 else number


def outcomes(cohort: str, row: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(row[f"label_{label}"], row[f"reason_{label}"]) for label in tried.LABELS[cohort]]


def test_all_conventions_but_times_and_visits_of_notes_change_nothing(hospital: Path, first: Rows) -> None:
    database = second_site.rewrite(hospital / "database", hospital / "kept", times=True, visits=True)
    assert asked(database, YEARS, second_site.PARAMETERS, notes_by_time=False) == first
    assert len(first) > 3000


class Charts:
    """The first site's stays and notes of one cohort's kind, and the stay that a day's precision gives each note."""

    def __init__(self, database: Path, cohort: str) -> None:
        self._summaries = cohort == "discharge"
        self._delay = DELAY[cohort]
        self.stays: dict[int, tuple[datetime, datetime]] = {}
        self.first: dict[int, datetime] = {}  # by visit: when its first note was written
        self.own: defaultdict[int, set[int]] = defaultdict(set)
        self.by_day: defaultdict[int, set[int]] = defaultdict(set)
        persons: defaultdict[int, list[int]] = defaultdict(list)
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            for visit, person, *times in connection.execute(_STAYS):
                start, end = (datetime.fromisoformat(time) for time in times)
                self.stays[visit] = start, end
                persons[person].append(visit)
            for note, person, visit, day, time, title in connection.execute(_NOTES, (CLASSES[cohort],)):
                written = datetime.fromisoformat(time or f"{day} 23:59:59")
                self.own[visit].add(note)
                self.by_day[self._placed(persons[person], _end_of(written))].add(note)
                if visit in self.stays and title != "Addendum" and (self._summaries or written >= self.stays[visit][0]):
                    self.first[visit] = min(written, self.first.get(visit, written))

    def _placed(self, visits: list[int], written: datetime) -> int:
        """The visit of a note whose date alone is known, as is all else."""
        begun = [(_start_of(self.stays[v][0]), second_site.new_id(v), v) for v in visits]
        begun = [each for each in begun if each[0] <= written]
        ended = [(_end_of(self.stays[each[2]][1]), *each) for each in begun]
        recent = [each for each in ended if each[0] <= written <= each[0] + self._delay]
        chosen: Any = max(recent, default=None) if self._summaries else None
        return (chosen or max(begun, default=(-1,)))[-1]  # type: ignore[no-any-return]

    def cause(self, visit: int) -> str:
        """Why day's precision tells another story of this stay; raises AssertionError if nothing here explains it."""
        if self.own[visit] != self.by_day[visit]:
            return MOVED
        (start, end), written = self.stays[visit], self.first[visit]
        if self._summaries:
            assert self._delay < written - end and (written.date() - end.date()).days == 3, visit
            return THIRD
        if written.date() == end.date() and written > end:
            return GONE
        assert written - start <= self._delay and written.date() > start.date(), visit
        return MIDNIGHT


_STAYS = f"""SELECT visit_occurrence_id, person_id, visit_start_datetime,
    CASE discharged_to_concept_id WHEN {omop_db.WHERE_TO["still patient"]} THEN '9999-01-01'
    ELSE coalesce(visit_end_datetime, visit_end_date || ' 23:59:59') END
    FROM visit_occurrence WHERE visit_concept_id IN (9201, 262)"""
_NOTES = """SELECT note_id, person_id, visit_occurrence_id, note_date, note_datetime, note_title FROM note
    WHERE note_class_concept_id = ?"""


def _start_of(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0)


def _end_of(time: datetime) -> datetime:
    return time.replace(hour=23, minute=59, second=59)


def differing(first: Rows, second: Rows) -> Iterator[tuple[str, int]]:
    assert first.keys() == second.keys()
    return (key for key in sorted(first) if outcomes(key[0], first[key]) != outcomes(key[0], second[key]))


def test_every_difference_has_a_cause_in_the_list(hospital: Path, first: Rows, second: Rows) -> None:
    charts = {cohort: Charts(hospital / "database", cohort) for cohort in CLASSES}
    assert Counter((cohort, charts[cohort].cause(visit)) for cohort, visit in differing(first, second)) == told_counts()


def test_a_label_that_both_sites_give_is_the_same(first: Rows, second: Rows) -> None:
    both = Counter()  # type: Counter[str]
    for cohort, visit in first:
        pairs = zip(*(outcomes(cohort, site[cohort, visit]) for site in (first, second)), strict=True)
        labels = [(before, after) for (before, _), (after, _) in pairs if None not in (before, after)]
        assert all(before == after for before, after in labels), (cohort, visit)
        both[cohort] += bool(labels)
    assert both == {"discharge": 1463, "admission": 1700}  # docs/second-site.md has them


def test_deaths_at_home_are_unknown_where_only_discharges_tell_of_death(hospital: Path, first: Rows) -> None:
    """Kept times and visits: nothing else differs. A patient who died at home is one who was not readmitted."""
    kept = second_site.rewrite(hospital / "database", hospital / "deaths", times=True, visits=True)
    changed = {"death_is_negative": False}
    before = asked(hospital / "database", 0, {}, **changed)
    after = asked(kept, YEARS, second_site.PARAMETERS, notes_by_time=False, **changed)
    differ = [(outcomes(*_pair(before, key)), outcomes(*_pair(after, key))) for key in differing(before, after)]
    assert Counter(map(str, differ)) == {"([(None, 'undetermined')], [(0, None)])": 17}
    assert after == first


@pytest.mark.parametrize("times", [True, False], ids=["times", "dates"])
@pytest.mark.parametrize("cohort", CLASSES)
def test_notes_under_no_visit_show_nothing_of_the_future(cohort: str, times: bool, tmp_path: Path) -> None:
    database = replay_job.hospital(tmp_path, patients=600)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE note SET visit_occurrence_id = NULL")
        if not times:
            connection.execute("UPDATE note SET note_datetime = NULL")
            connection.execute("UPDATE visit_occurrence SET visit_start_datetime = NULL, visit_end_datetime = NULL")
        connection.commit()
    job = replay_job.made(database, tmp_path, cohort, choices={"notes_by_time": True}, min_cell=1)
    replay.main(job)
    told = shards.read_json(job.path("certificate"))
    assert told["verdict"] == "pass"
    assert told["stays"] > 100


def _pair(rows: Rows, key: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    return key[0], rows[key]


def told_counts() -> dict[tuple[str, str], int]:
    """The table of docs/second-site.md: | cohort | what | stays |"""
    rows = re.findall(r"^\| (discharge|admission) \| (.+?) \| ([\d,]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    return {(cohort, what): int(count.replace(",", "")) for cohort, what, count in rows}
