"""Random histories: the query for readmission against an oracle written from the contract. A mismatch prints the
shortest history that shows it."""

import random
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import omop_db
import readmission_oracle
from lib.contract import REASONS

SEED, PEOPLE = 20260611, 400
DEFAULTS = {
    "count_transfers": False,
    "count_against_advice": True,
    "count_newborns": False,
    "death_is_negative": True,
    "readmission_by_date": False,
    "use_dates": True,
    "observation": False,
}
CHOICES = [{}, *({name: not value} for name, value in DEFAULTS.items())]
CHOICES.append({name: not value for name, value in DEFAULTS.items() if name != "use_dates"})


@pytest.fixture(scope="module")
def histories() -> dict[int, dict[str, Any]]:
    draw = random.Random(SEED)
    return {person: readmission_oracle.random_history(draw) for person in range(1, PEOPLE + 1)}


@pytest.fixture(scope="module")
def database(histories: dict[int, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random") / "hospital.sqlite"
    with omop_db.Hospital(path) as hospital:
        for person, told in histories.items():
            hospital.history(told, person)
    return path


def differences(
    database: Path,
    histories: dict[int, dict[str, Any]],
    choice: dict[str, bool],
    known_until: str,
    sql: str = "",
) -> list[str]:
    """Histories on which query and oracle disagree, told with both answers, the shortest first."""
    changed: dict[str, Any] = dict(choice)
    if changed.pop("observation", False):
        changed["readmission_visits"] = [9201, 262, 581385]
    given = omop_db.settings("discharge", "labels", known_until=known_until, sql=sql, **changed)
    found: dict[int, dict[int, Any]] = {person: {} for person in histories}
    for row in omop_db.run(database, given).to_pylist():
        label = row["label_readmission"] if row["reason_readmission"] is None else row["reason_readmission"]
        found[row["visit_id"] // 1000][row["visit_id"] % 1000] = label
    until = datetime.fromisoformat(known_until)
    wrong = []
    for person, told in histories.items():
        expected = readmission_oracle.expected(told, until, DEFAULTS | choice)
        if expected != found[person]:
            shown = yaml.safe_dump(told, sort_keys=False, default_flow_style=None, width=120)
            length = len(told["stays"]) + len(told["notes"])
            wrong.append((length, f"{shown}expected {expected}\nfound    {found[person]}"))
    return [shown for _, shown in sorted(wrong)]


@pytest.mark.parametrize("known_until", ["2014-04-20", "2021-01-01"])
@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: ", ".join(choice) or "defaults")
def test_query_agrees_with_oracle(
    database: Path, histories: dict[int, dict[str, Any]], choice: dict[str, bool], known_until: str
) -> None:
    wrong = differences(database, histories, choice, known_until)
    assert not wrong, f"{len(wrong)} of {PEOPLE} histories differ, the shortest:\n{wrong[0]}"


def test_a_wrong_query_is_caught(database: Path, histories: dict[int, dict[str, Any]], tmp_path: Path) -> None:
    sql = (omop_db.ROOT / omop_db.OMOP / "discharge.labels.sql").read_text(encoding="utf-8")
    query = tmp_path / "wrong.labels.sql"
    query.write_text(sql.replace("event_time <= horizon_time", "event_time < horizon_time"), encoding="utf-8")
    assert differences(database, histories, {}, "2021-01-01", str(query))


def test_the_random_histories_meet_every_outcome(histories: dict[int, dict[str, Any]]) -> None:
    seen: Counter[Any] = Counter()
    for known_until in (datetime(2014, 4, 20), datetime(2021, 1, 1)):
        for choice in CHOICES:
            for told in histories.values():
                seen.update(readmission_oracle.expected(told, known_until, DEFAULTS | choice).values())
    ours = [reason for reason in REASONS if reason not in ("uncoded", "no_claim")]
    assert all(seen[outcome] >= 20 for outcome in (0, 1, *ours)), seen
