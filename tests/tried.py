"""What queries and oracles say of histories, in the words of `expect` in `timelines.yaml`."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import admission_oracle
import omop_db
import readmission_oracle
from history import minutes

Told = dict[str, Any]
Expect = dict[int, dict[str, Any]]  # by stay: what is said, by name
Query = tuple[str, str]  # cohort and kind

LABELS = {"discharge": ("readmission",), "admission": ("mortality", "length_of_stay_days", "charlson", "denial")}
ORACLES: dict[str, Callable[..., Expect]] = {
    "discharge": readmission_oracle.expected,
    "admission": admission_oracle.expected,
}
QUERIES: list[Query] = [(cohort, kind) for cohort in LABELS for kind in ("text", "labels")]
ASKED_FOR: dict[str, Query] = {f"{cohort}_texts": (cohort, "text") for cohort in LABELS}
for _cohort, _names in LABELS.items():
    ASKED_FOR |= dict.fromkeys((_cohort, f"{_cohort}_department", *_names), (_cohort, "labels"))


def hospital(folder: Path, histories: dict[int, Told]) -> Path:
    """The database of these persons."""
    path = folder / "hospital.sqlite"
    with omop_db.Hospital(path) as database:
        for person, told in histories.items():
            database.history(told, person)
    return path


class Answers:
    """What `queries` say of every stay in `database` under settings as `omop_db.settings` takes them.
    `sql` has files to ask instead of ours."""

    def __init__(
        self, database: Path, given: Told, queries: Iterable[Query] = QUERIES, sql: dict[Query, str] | None = None
    ) -> None:
        self.rows: dict[Query, dict[int, list[dict[str, Any]]]] = {query: {} for query in queries}
        for (cohort, kind), by_visit in self.rows.items():
            settings = omop_db.settings(cohort, kind, **given, sql=(sql or {}).get((cohort, kind), ""))
            for row in omop_db.run(database, settings).to_pylist():
                by_visit.setdefault(row["visit_id"], []).append(row)

    def but(self, other: "Answers") -> "Answers":
        """These answers, with the other's where it has some."""
        both = Answers(Path(), {}, ())
        both.rows = self.rows | other.rows
        return both

    def of(self, visit: int) -> dict[str, Any]:
        """All that is said of a stay: index times, texts, labels or reasons, departments, features."""
        said: dict[str, Any] = {"features": {}}
        for (cohort, kind), by_visit in self.rows.items():
            rows = by_visit.get(visit, [])
            if kind == "text":
                said[f"{cohort}_texts"] = [row["text"] for row in rows]
            elif not rows:
                said |= dict.fromkeys((cohort, *LABELS[cohort]), "no row")
            else:
                said |= {cohort: plain(rows[0]["index_time"]), f"{cohort}_department": rows[0]["group_department"]}
                said |= {name: _outcome(rows[0], name) for name in LABELS[cohort]}
                for name in [name.removeprefix("feature_") for name in rows[0] if name.startswith("feature_")]:
                    value = plain(rows[0][f"feature_{name}"])
                    before = said["features"].setdefault(name, value)
                    said["features"][name] = value if value == before else "differs between the cohorts"
        return said


def differences(answers: Answers, person: int, expected: Expect) -> Iterator[str]:
    """One line for each expectation of the history of `person` that does not hold, of those that were asked for."""
    for stay, facts in expected.items():
        said = answers.of(person * 1000 + stay)
        for name, value in facts.items():
            if name != "features" and ASKED_FOR[name] not in answers.rows:
                continue
            found = {key: said[name].get(key) for key in value} if name == "features" else said.get(name, "no row")
            if found != plain(value):
                yield f"stay {stay}, {name}: expected {value}, found {found}"


def by_oracle(cohort: str, told: Told, given: Told) -> Expect:
    """The oracle's `expect` of a history under settings as `Answers` takes them."""
    choices = omop_db.values(cohort, **given) | {"window": given.get("window", omop_db.WINDOW)}
    known_until = datetime.fromisoformat(str(given.get("known_until", omop_db.KNOWN_UNTIL)))
    return ORACLES[cohort](told, known_until, choices)


def _outcome(row: dict[str, Any], label: str) -> Any:
    reason = row[f"reason_{label}"]
    return row[f"label_{label}"] if reason is None else reason


def plain(value: Any) -> Any:
    if isinstance(value, datetime):  # YAML reads a time with seconds as one
        return minutes(value)
    return "none" if value is None else value
