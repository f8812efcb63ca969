"""Random histories: the queries of both cohorts against oracles written from the contract. A mismatch prints the
shortest history that shows it. One seed; NOTECAST_SEEDS=2 for both."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

import random_histories
import shrink
import tried
from lib.contract import REASONS
from random_histories import CHOICES, DATA_ENDS, SEEDS, Told
from wrong_queries import WRONG, Wrong

TRIED = SEEDS[: int(os.environ.get("NOTECAST_SEEDS", "1"))]
CASES = [(cohort, choice) for cohort, choices in CHOICES.items() for choice in choices]


@pytest.fixture(scope="module", params=TRIED, ids="seed {}".format)
def histories(request: pytest.FixtureRequest) -> dict[int, Told]:
    return random_histories.histories(request.param)


@pytest.fixture(scope="module")
def database(histories: dict[int, Told], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tried.hospital(tmp_path_factory.mktemp("random"), histories)


class Trial:
    """A cohort's queries, or those in `sql`, against its oracle, under settings; candidates are tried in `folder`."""

    def __init__(self, folder: Path, cohort: str, given: Told, sql: dict[tried.Query, str] | None = None) -> None:
        self._folder, self._cohort, self._given, self._sql = folder, cohort, given, sql
        self._queries = sql or [(cohort, "text"), (cohort, "labels")]

    def mismatches(self, database: Path, histories: dict[int, Told]) -> dict[int, list[str]]:
        """Lines that tell both answers, by person, of those for whom they differ."""
        found = tried.Answers(database, self._given, self._queries, self._sql)
        expected = {person: tried.by_oracle(self._cohort, told, self._given) for person, told in histories.items()}
        lines = {person: list(tried.differences(found, person, rows)) for person, rows in expected.items()}
        return {person: told for person, told in lines.items() if told}

    def shortest(self, histories: list[Told]) -> tuple[Told, list[str]]:
        """The shortest history that these can be shrunk to, and how query and oracle differ on it."""
        told = shrink.shortest(min(histories, key=shrink.size), self._differ)
        return told, self._try([told])[1]

    def _differ(self, candidates: list[Told]) -> list[bool]:
        found = self._try(candidates)
        return [person in found for person in range(1, len(candidates) + 1)]

    def _try(self, candidates: list[Told]) -> dict[int, list[str]]:
        database, by_person = self._folder / "hospital.sqlite", dict(enumerate(candidates, 1))
        database.unlink(missing_ok=True)
        return self.mismatches(tried.hospital(self._folder, by_person), by_person)


@pytest.mark.parametrize("known_until", DATA_ENDS)
@pytest.mark.parametrize(("cohort", "choice"), CASES, ids=lambda value: value if isinstance(value, str) else str(value))
def test_queries_agree_with_the_oracle(
    database: Path, histories: dict[int, Told], tmp_path: Path, cohort: str, choice: Told, known_until: str
) -> None:
    trial = Trial(tmp_path, cohort, choice | {"known_until": known_until})
    found = trial.mismatches(database, histories)
    if found:
        told, lines = trial.shortest([histories[person] for person in found])
        shown = yaml.safe_dump(told, sort_keys=False, default_flow_style=None, width=120)
        pytest.fail("\n".join([f"{len(found)} of {len(histories)} histories differ; the shortest:", shown, *lines]))


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.task}: {wrong.mistake}")
def test_a_wrong_query_is_caught_and_the_shortest_history_shown(
    database: Path, histories: dict[int, Told], tmp_path: Path, wrong: Wrong
) -> None:
    trial = Trial(tmp_path, wrong.cohort, wrong.given, wrong.written(tmp_path))
    found = trial.mismatches(database, histories)
    assert found
    told, lines = trial.shortest([histories[person] for person in found])
    assert len(told["stays"]) == wrong.stays, (told, lines)


ALWAYS = {"no_note", "late_note", "newborn", "follow_up_incomplete", "undetermined"}
OUTCOMES: dict[str, set[Any]] = {
    "readmission": {0, 1, *REASONS} - {"uncoded", "no_claim"},
    "mortality": ALWAYS | {0, 1, "still_in_hospital"},
    "length_of_stay_days": ALWAYS | {0, 1, 3, 10, 40, "still_in_hospital"},
    "charlson": ALWAYS | {0, 1, 2, 3, 6, 8, "still_in_hospital", "uncoded"},
    "denial": ALWAYS | {0, 1, "no_claim"},
}


def test_the_random_histories_meet_every_outcome(histories: dict[int, Told]) -> None:
    seen: dict[str, Counter[Any]] = {label: Counter() for label in OUTCOMES}
    for cohort, choice in CASES:
        for known_until in (DATA_ENDS[0], DATA_ENDS[-1]):
            for told in histories.values():
                for row in tried.by_oracle(cohort, told, choice | {"known_until": known_until}).values():
                    for label in OUTCOMES.keys() & row.keys():
                        seen[label][row[label]] += 1
    rare = {label: {outcome for outcome in OUTCOMES[label] if seen[label][outcome] < 20} for label in seen}
    assert not any(rare.values()), rare
