"""How a run stands, in words and colours."""

import pytest

from lib.standing import Standing, of_jobs

KNOWN = {"commit": "ab" * 20, "dirty": False, "jobs": 70}
OTHER = {"commit": "cd" * 20, "dirty": False, "jobs": 3}
UNKNOWN = {"commit": None, "dirty": None, "jobs": 3}


@pytest.mark.parametrize(
    ("against", "commits", "level", "title"),
    [
        ([], [KNOWN], "green", "Reproducible as it stands: commit abababababab, 70 jobs"),
        (
            [],
            [KNOWN, OTHER],
            "green",
            "Reproducible as it stands: commit abababababab, 70 jobs; commit cdcdcdcdcdcd, 3 jobs",
        ),
        ([], [KNOWN, UNKNOWN], "amber", "No git revision is known of 3 of 73 jobs: the hashes"),
        (["something"], [UNKNOWN], "red", "Not reproducible as it stands"),
    ],
)
def test_level_and_title(against: list[str], commits: list[dict[str, object]], level: str, title: str) -> None:
    found = Standing(against, commits)
    assert found.level == level and found.title.startswith(title)


def test_the_brand_is_escaped_and_lists_what_is_against() -> None:
    told = Standing(["<b> was changed", "two"], [KNOWN]).markup('class="brand"')
    assert told.startswith(
        '<div class="brand"><strong style="color: inherit">Not reproducible as it stands:</strong><ul>'
    )
    assert "<li>&lt;b&gt; was changed</li><li>two</li>" in told
    assert "<ul>" not in Standing([], [KNOWN]).markup("")


def test_jobs_are_counted() -> None:
    assert of_jobs(9, 0, 0) == []
    assert of_jobs(9, 2, 1) == [
        "2 of 9 jobs left no record of how their files came",
        "1 of 9 jobs ran code that was changed and not committed",
    ]
