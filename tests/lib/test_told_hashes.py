"""Which hashes may be told: none of what could be found by trying, and whether it was read as it was written."""

from lib.told_hashes import HIDDEN, OTHER, agrees, told

WRITTEN = {
    "<private>/split/a/2019.parquet": "1",
    "<private>/split/a/2019.json": "2",
    "<private>/clean/a/2019.dropped.parquet": "3",
    "<private>/finetune/t/m/all-0/config.json": "4",
    "<results>/flow/t.json": "5",
}


def test_manifests_lists_and_files_of_few_rows_are_hidden() -> None:
    hidden = {name for name, digest in told(WRITTEN, WRITTEN, ()).items() if digest == HIDDEN}
    assert hidden == {"<private>/split/a/2019.json", "<private>/clean/a/2019.dropped.parquet"}
    assert told(WRITTEN, WRITTEN, {"<private>/split/a/2019.parquet"})["<private>/split/a/2019.parquet"] == HIDDEN


def test_a_file_that_was_read_as_another_is_told_of_without_its_hash() -> None:
    read = {"<private>/split/a/2019.json": "9", "<private>/split/a/2019.parquet": "9"}
    assert told(read, WRITTEN, ()) == {"<private>/split/a/2019.json": OTHER, "<private>/split/a/2019.parquet": "9"}


def test_what_is_hidden_says_nothing_against_a_hash() -> None:
    assert agrees("1", "1") and agrees(HIDDEN, "1") and agrees(None, None)
    assert not agrees("2", "1") and not agrees(OTHER, "1") and not agrees(None, "1")
