"""The workflow itself on a server: the whole OMOP 5.4, end to end by configuration alone; and a ticket that ends.

The run with a password is searched for it: every file, Snakemake's own records and what the terminal showed included.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import omop
from checkout import Checkout, merged, small_config
from kerberos import Kerberos
from postgres import CLERK, PASSWORD, Postgres
from server_job import plain

pytestmark = pytest.mark.slow
Run = Callable[..., Checkout]
LOCAL = ("hospital", "oracle", "config.yaml", "summary", "index.html", "ledger/")  # what the demo alone has, or names


@pytest.fixture(scope="module")
def config(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The small demo's configuration, its hospital in PostgreSQL with all 39 tables."""
    return omop.small_hospital(postgres, "site", tmp_path_factory.mktemp("server"))


def test_a_whole_run_gives_what_the_demo_gives_and_tells_no_secret(
    config: dict[str, Any], postgres: Postgres, finished_run: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_PASSWORD", PASSWORD)
    given = omop.with_server(config, plain(postgres, "site", user=CLERK), secrets={"PWD": "SITE_PASSWORD"})
    run = Checkout(tmp_path / "clone", given)
    ended = run.snakemake("--printshellcmds", "--verbose")
    run.snakemake("--report", "results/small/report.html")
    mine, theirs = (
        {p: h for p, h in each.bytes().items() if not any(n in p for n in LOCAL)} for each in (run, finished_run)
    )
    assert mine == theirs
    assert not run.planned()
    needle = PASSWORD.encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 200
    assert not [path for path in files if needle in path.read_bytes()]
    assert PASSWORD not in ended.stdout + ended.stderr
    # What says where the server is stays private, and in the configuration.
    host = f"Port={postgres.port}".encode()
    told = [path.relative_to(run.folder).as_posix() for path in files if host in path.read_bytes()]
    assert [path for path in told if not path.startswith("results/private/")] == ["config/test.yaml"]

    # A wrong password: one sentence, and nothing of it anywhere.
    monkeypatch.setenv("SITE_PASSWORD", f"{PASSWORD}-not")
    run.configure(merged(given, {"name": "other"}))
    ended = run.snakemake("--verbose", "results/private/other/inventory/discharge.json", check=False)
    assert ended.returncode == 1
    assert "the server does not let this user in: check source.odbc" in ended.stdout + ended.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and needle in path.read_bytes()]
    assert PASSWORD not in ended.stdout + ended.stderr


def test_a_ticket_that_ends_on_the_way_keeps_the_finished_windows(
    config: dict[str, Any], postgres: Postgres, kdc: Kerberos, researcher: dict[str, str], tmp_path: Path
) -> None:
    cache = tmp_path / "job.cache"
    block = {"principal": "researcher@HOSPITAL.TEST", "cache": f"FILE:{cache}"}
    run = Checkout(tmp_path / "clone", omop.with_server(config, plain(postgres, "site"), kerberos=block))
    inventory, extracts = "results/private/small/inventory/discharge.json", "results/private/small/extract/discharge"
    kdc.kinit(cache)

    def end_soon() -> None:
        while not list((run.folder / extracts).glob("*.json")) and not over.is_set():
            time.sleep(0.02)
        kdc.kinit(cache, lifetime="1s")

    over = threading.Event()
    watching = threading.Thread(target=end_soon)
    watching.start()
    ended = run.snakemake("--keep-going", inventory, cores=1, check=False)
    over.set()
    watching.join()
    assert ended.returncode == 1
    said = ended.stdout + ended.stderr
    assert "there is no valid Kerberos ticket for researcher@HOSPITAL.TEST: run `kinit -c CACHE" in said
    kept = {path.name: path.read_bytes() for path in (run.folder / extracts).glob("*.json")}
    assert 0 < len(kept) < 8
    kdc.kinit(cache)
    ran = run.ran(inventory)
    assert ran["extract"] == 8 - len(kept)
    assert all((run.folder / extracts / name).read_bytes() == content for name, content in kept.items())


def test_a_source_check_says_the_same_of_a_server_and_looks_at_the_ticket(
    config: dict[str, Any], postgres: Postgres, kdc: Kerberos, researcher: dict[str, str], tmp_path: Path
) -> None:
    cache = tmp_path / "job.cache"
    block = {"principal": "researcher@HOSPITAL.TEST", "cache": f"FILE:{cache}"}
    run = Checkout(tmp_path / "clone", omop.with_server(config, plain(postgres, "site"), kerberos=block))
    kdc.kinit(cache, lifetime="2h")
    page = run.snakemake("check_source").stdout
    assert "discharge: labels of 4 windows, texts of all" in page
    assert "the ticket ends in 2.0 h, the extract takes about" in page or "the ticket ends in 120 min" in page
    server = json.loads((run.folder / "results/small/check_source/source.json").read_text(encoding="utf-8"))
    run.configure(small_config())
    run.snakemake("check_source")
    demo = json.loads((run.folder / "results/small/check_source/source.json").read_text(encoding="utf-8"))
    assert server["cohorts"] == demo["cohorts"]
    assert demo["plan"]["ticket"] is None
