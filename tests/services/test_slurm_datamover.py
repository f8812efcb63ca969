"""Extract jobs on the cluster's datamover partition, from a PostgreSQL that wants a Kerberos ticket."""

from pathlib import Path
from typing import Any

import pytest

import omop
from checkout import Checkout
from kerberos import REALM, USER, Kerberos
from postgres import Postgres
from server_job import plain
from slurm import Slurm
from slurm_head import started

pytestmark = pytest.mark.slow
PRINCIPAL = f"{USER}@{REALM}"
EXTRACT = "results/private/small/extract/discharge/2019.labels"
UNSEEN = (
    "error: a node does not see the login node's own ticket cache: put a ticket where the node can read it, and name "
    "it in source.odbc.kerberos.cache; or name a keytab"
)


@pytest.fixture(scope="module")
def config(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return omop.small_hospital(postgres, "moved", tmp_path_factory.mktemp("hospital"))


def extracted(slurm: Slurm, config: dict[str, Any], postgres: Postgres, folder: Path, block: dict[str, str]) -> str:
    """What a run that extracts one window says; the window is there exactly if it ended well."""
    run = Checkout(
        folder, omop.with_server(config, plain(postgres, "moved"), kerberos={"principal": PRINCIPAL, **block})
    )
    before = len(slurm.ended())
    with started(run, f"{EXTRACT}.json", "--retries", "0") as head:
        status = head.wait()
    assert (status == 0) == (run.folder / f"{EXTRACT}.parquet").is_file(), head.said[-5000:]
    assert {job["Partition"] for job in slurm.ended()[before:]} == {"datamover"}
    return head.said


def test_a_shared_cache_or_a_keytab_lets_a_node_in_and_the_login_node_s_own_cache_does_not(
    slurm: Slurm,
    config: dict[str, Any],
    postgres: Postgres,
    kdc: Kerberos,
    researcher: dict[str, str],
    finished_run: Checkout,
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared.cache"
    kdc.kinit(shared)
    blocks = {"cache": f"FILE:{shared}", "keytab": str(kdc.user_keytab)}
    for name, value in blocks.items():
        extracted(slurm, config, postgres, tmp_path / name, {name: value})
        found = (tmp_path / name / f"{EXTRACT}.parquet").read_bytes()
        assert found == (finished_run.folder / f"{EXTRACT}.parquet").read_bytes(), name
    # The one that the head has, and hands on by its environment: on another machine there is nothing behind it.
    assert Path(researcher["KRB5CCNAME"].removeprefix("FILE:")).is_file()
    assert UNSEEN in extracted(slurm, config, postgres, tmp_path / "neither", {})
