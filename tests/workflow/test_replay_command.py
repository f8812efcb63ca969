"""`snakemake replay` on a finished run: a certificate a cohort, nothing else made again, nothing left behind."""

from collections import Counter
from collections.abc import Callable

import pytest

from checkout import Checkout, merged
from lib import shards

pytestmark = pytest.mark.slow
COHORTS = ("discharge", "admission")


def test_replay_is_a_command_of_its_own(finished: Callable[..., Checkout]) -> None:
    run = finished()
    assert run.planned() == Counter(), "the replay is no part of a run"
    before = run.bytes()
    assert run.ran("replay") == Counter({"replay": 2})
    for cohort in COHORTS:
        told = shards.read_json(run.folder / f"results/small/replay/{cohort}.json")
        assert (told["verdict"], told["stays"]) == ("pass", 200)
        assert {n for found in told["differences"].values() for n in found.values()} == {0}
    added = {f"small/replay/{cohort}.json" for cohort in COHORTS}
    after = run.bytes()
    assert after.keys() - before.keys() == added and {k: v for k, v in after.items() if k not in added} == before
    assert not list((run.folder / "results/private/small/tmp").glob("replay*"))
    assert run.planned("replay") == run.planned() == Counter()
    # Another sample is a reason to replay; other models are none.
    run.configure(merged(run.config, {"seeds": [3]}))
    assert run.planned("replay") == Counter()
    run.configure(merged(run.config, {"replay": {"seed": 2}}))
    assert run.planned("replay") == Counter({"replay": 1, "replay_cohort": 2})


def test_a_leak_ends_the_command_and_leaves_no_certificate(finished: Callable[..., Checkout]) -> None:
    run = finished()
    query = run.folder / "workflow/sql/omop/discharge.labels.sql"
    sql = query.read_text(encoding="utf-8")
    leak = "(SELECT count(*) FROM note WHERE note.person_id = reasoned.person_id) AS feature_notes,"
    query.write_text(sql.replace("    age AS feature_age,", f"    age AS feature_age,\n    {leak}"), encoding="utf-8")
    wanted = "results/small/replay/discharge.json"
    ended = run.snakemake(wanted, check=False)
    assert ended.returncode != 0 and not (run.folder / wanted).exists()
    assert "cohort discharge sees the future" in ended.stdout + ended.stderr
    assert "labels column feature_notes: " in ended.stdout + ended.stderr
    assert not list((run.folder / "results/private/small/tmp").glob("replay*"))
