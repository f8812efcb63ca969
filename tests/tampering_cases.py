"""What was done to a finished run, in words, and what `verify` must say of it; docs/provenance.md shows both."""

from collections.abc import Callable
from dataclasses import dataclass

import tampering
from tampered import Room
from tampering import CLEAN, EVALUATE, FITTED, METRICS, PREDICT, SUMMARY, TABLE


@dataclass(frozen=True)
class Case:
    """`done`, in words, by `how`; `says`: for each line how it begins (kind and file) and what stands in it.

    `apart`: verified in a process of its own, as the code itself is changed. `real`: snakemake runs on it.
    """

    done: str
    how: Callable[[Room], None]
    says: tuple[tuple[str, str], ...] = ()
    apart: bool = False
    real: bool = False

    @property
    def status(self) -> int:
        return int(any(not begins.startswith("note") for begins, _ in self.says))


OWN = "1 of 6 fits: readmission tiny/all-0"
DOCUMENT = "document: <results>/provenance.json"

CERTIFICATE, FIGURES = "stale: <results>/certificate/readmission.json", "stale: <results>/figures/readmission/roc.svg"
BEHIND = "affects compare readmission, figures readmission, report"
READ = f"another version of {METRICS} (read "
FEWER = "baselines.shuffled.permutations: 3 -> 2"
CASES = [
    Case("nothing", tampering.nothing),
    Case("nothing, and the warehouse is asked again (`--source`)", tampering.ask_source),
    Case("a clone of the folder without Snakemake's memory (`.snakemake/`)", tampering.clone_without_metadata),
    Case(
        "an AUROC raised in a metrics file",
        tampering.edit_metrics,
        ((f"edited: {METRICS}", OWN), (f"figures: {METRICS}", "parts.test.auroc.value is 0.912, recomputed 0.")),
    ),
    Case(
        "the same, and its record made to agree",
        tampering.edit_metrics_and_record,
        (
            (f"stale: {TABLE}", READ),
            (CERTIFICATE, READ),
            (FIGURES, READ),
            (f"figures: {METRICS}", OWN),
            (DOCUMENT, OWN),
        ),
    ),
    Case(
        "an AUROC raised in the task's table",
        tampering.edit_table,
        ((f"edited: {TABLE}", BEHIND), (f"figures: {TABLE}", "rows.0.auroc.value is 0.912, recomputed 0.")),
    ),
    Case(
        "an AUROC raised in summary.csv",
        tampering.edit_summary,
        (
            (f"edited: {SUMMARY}", "report"),
            (f"figures: {SUMMARY}", "readmission/tiny/all.auroc is 0.912, recomputed 0."),
        ),
    ),
    Case(
        "the same, and its record made to agree",
        tampering.edit_summary_and_record,
        ((f"figures: {SUMMARY}", "readmission/tiny/all.auroc is 0.912, recomputed 0."), (DOCUMENT, f" of {SUMMARY}")),
    ),
    Case(
        "the cleaned notes of two windows swapped",
        tampering.swap_shards,
        (
            (f"swapped: {CLEAN}/2018.parquet", f"{CLEAN}/2019.parquet should be; affects the metrics of 6 of 6 fits"),
            (f"swapped: {CLEAN}/2019.parquet", f"{CLEAN}/2018.parquet should be; affects the metrics of 6 of 6 fits"),
        ),
    ),
    Case(
        "the test predictions of two fits swapped",
        tampering.swap_predictions,
        (
            (f"swapped: {PREDICT}/shuffled/all-0/test.parquet", f"{PREDICT}/shuffled/all-1/test.parquet should be"),
            (f"swapped: {PREDICT}/shuffled/all-1/test.parquet", f"{PREDICT}/shuffled/all-0/test.parquet should be"),
            (f"figures: {EVALUATE}/shuffled/all-0.json", "parts.test.auroc.value"),
            (f"figures: {EVALUATE}/shuffled/all-1.json", "parts.test.auroc.value"),
            (f"figures: {TABLE}", "rows.1.seeds.0.auroc"),
        ),
    ),
    Case(
        "the weights of two fits exchanged",
        tampering.swap_weights,
        (
            (f"model: {FITTED}/all-0/model.safetensors", f"those of {FITTED}/all-1/model.safetensors"),
            (f"model: {FITTED}/all-1/model.safetensors", f"those of {FITTED}/all-0/model.safetensors"),
        ),
    ),
    Case(
        "the same, and manifests and records made to agree",
        tampering.swap_weights_and_say_so,
        (
            (f"stale: {PREDICT}/shuffled/all-0/tuning.parquet", f"{FITTED}/all-0/manifest.json"),
            (f"stale: {PREDICT}/shuffled/all-1/tuning.parquet", f"{FITTED}/all-1/manifest.json"),
            (CERTIFICATE, "and 1 more"),
            (DOCUMENT, f"{FITTED}/all-0/model.safetensors, and of 1 more"),
        ),
    ),
    Case(
        "predictions moved towards the labels",
        tampering.edit_predictions,
        (
            (f"edited: {PREDICT}/tiny/all-0/test.parquet", OWN),
            (f"figures: {METRICS}", "recomputed 1.0"),
            (f"figures: {TABLE}", "recomputed 1.0"),
        ),
    ),
    Case(
        "the same, and manifest and record made to agree",
        tampering.edit_predictions_and_say_so,
        (
            (f"stale: {METRICS}", f"{PREDICT}/tiny/all-0/test.parquet"),
            (f"stale: {TABLE}", f"{PREDICT}/tiny/all-0/test.parquet"),
            ("stale: <results>/summary.txt", f"{PREDICT}/tiny/all-0/test.parquet"),
            (f"figures: {METRICS}", "recomputed 1.0"),
            (f"figures: {TABLE}", "recomputed 1.0"),
            (DOCUMENT, OWN),
        ),
    ),
    Case(
        "100 rows added in a manifest",
        tampering.edit_manifest,
        (("manifest: <private>/split/discharge/2019.json", "6 of 6 fits"),),
    ),
    Case(
        "a manifest that tells of another file, its record made to agree",
        tampering.point_manifest_elsewhere,
        (
            ("manifest: <private>/dataset/readmission/text/train.json", "0000000000 of train.arrow"),
            (CERTIFICATE, "text/train.json"),
        ),
    ),
    Case(
        "a better tuning AUROC in a history; manifest and record made to agree",
        tampering.edit_history,
        (
            ("model: <private>/finetune/readmission/tiny/all-0/manifest.json", "the history's best has 0.9"),
            (f"stale: {PREDICT}/tiny/all-0/tuning.parquet", OWN),
            (CERTIFICATE, "finetune"),
            (FIGURES, "history.json"),
            (DOCUMENT, OWN),
        ),
    ),
    Case(
        "an extract replaced by one with a note less",
        tampering.replace_extract,
        (("edited: <private>/extract/discharge/2020.text.parquet", "6 of 6 fits"),),
    ),
    Case(
        "a window extracted again, and nothing behind it run; no `.snakemake/`",
        tampering.extract_again,
        (
            ("stale: <private>/clean/discharge/2020.parquet", "6 of 6 fits"),
            ("stale: <private>/inventory/discharge.json", "and 1 more"),
            ("stale: <results>/flow/readmission.json", "2020.text"),
            ("stale: <results>/leakage/readmission.json", "2020.text"),
            (DOCUMENT, "6 of 6 fits"),
        ),
    ),
    Case(
        "the tokenizer replaced",
        tampering.replace_tokenizer,
        (("edited: <private>/tokenizers/notes/tokenizer.json", OWN),),
    ),
    Case(
        "a file of predictions deleted",
        tampering.delete_file,
        (
            (f"missing: {PREDICT}/tfidf/all-0/test.parquet", "readmission tfidf/all-0"),
            (f"figures: {TABLE}", "not recomputed"),
        ),
    ),
    Case(
        "a record deleted",
        tampering.delete_record,
        (("record: <private>/eligibility/readmission.parquet", "no record tells how it came"),),
    ),
    Case(
        "a record cut off",
        tampering.cut_record,
        (("record: <private>/finetune/readmission/tiny/all-0/config.json", "cut off"),),
    ),
    Case(
        "the record of another job in its place",
        tampering.put_another_record,
        ((f"record: {METRICS}", "of another job"),),
    ),
    Case(
        "an input that no job made, in a record",
        tampering.invent_an_input,
        ((f"stale: {METRICS}", "which no job of this configuration has made"),),
    ),
    Case(
        "another commit, and that it was clean, in a record",
        tampering.edit_record,
        ((DOCUMENT, f"another commit than the record of {METRICS}"),),
    ),
    Case(
        "the hash of code that nobody has any more, in a record",
        tampering.edit_code_in_record,
        ((f"code: {METRICS}", "no copy of its code is left"), (DOCUMENT, f"another code than the record of {METRICS}")),
    ),
    Case(
        "another learning rate in the configuration",
        tampering.change_config,
        (
            ("settings: <private>/finetune/readmission/tiny/all-0/config.json", "learning_rate: 0.0005 -> 0.002"),
            ("settings: <results>/config.yaml", "models.tiny.training.learning_rate: 0.0005 -> 0.002"),
        ),
    ),
    Case(
        "the same, and `snakemake --touch` to hush it",
        tampering.hush,
        (
            ("settings: <private>/finetune/readmission/tiny/all-0/config.json", "learning_rate: 0.0005 -> 0.002"),
            ("settings: <results>/config.yaml", "models.tiny.training.learning_rate: 0.0005 -> 0.002"),
        ),
        real=True,
    ),
    Case(
        "a permutation less in the configuration, its files left there",
        tampering.one_permutation_less,
        (
            (f"settings: {TABLE}", FEWER),
            ("settings: <results>/certificate/readmission.json", FEWER),
            ("settings: <results>/figures/readmission/roc.svg", FEWER),
            ("settings: <results>/config.yaml", FEWER),
            ("note: files of 3 jobs of other configurations", "baseline 1, predict 1, evaluate 1"),
        ),
    ),
    Case(
        "code changed after the run",
        tampering.change_code,
        ((f"code: {METRICS} and 5 more", "lib/calibration.py; affects the metrics of 6 of 6 fits"),),
        apart=True,
    ),
    Case(
        "the lock changed after the run",
        tampering.change_lock,
        (
            ("code: <private>/finetune/readmission/tiny/all-0/config.json", "safetensors 0.8.0 -> 0.0.1"),
            (f"code: {FITTED}/all-0/model.json and 4 more", "safetensors 0.8.0 -> 0.0.1"),
            (f"code: {PREDICT}/tiny/all-0/tuning.parquet and 5 more", "safetensors 0.8.0 -> 0.0.1"),
            ("versions: <private>/finetune/readmission/tiny/all-0/config.json and 11 more", "lock has 0.0.1"),
        ),
        apart=True,
    ),
    Case(
        "a comment added and not committed",
        tampering.dirty_tree,
        (("dirty: the working tree", "affects no file"),),
        apart=True,
    ),
    Case(
        "a job run on code that was not committed, committed afterwards",
        tampering.run_on_a_dirty_tree,
        (("dirty: <results>/config.yaml", "resolve 1"), ("note: 1 jobs ran at commit", "")),
        apart=True,
        real=True,
    ),
    Case(
        "the files of a seed that is no more left there",
        tampering.leave_former_seed,
        (("note: files of 2 jobs of other configurations", "baseline 1, predict 1"),),
    ),
    Case(
        "a note deleted from the warehouse (`--source`)",
        tampering.lose_a_note,
        (
            ("edited: <private>/hospital.sqlite", "6 of 6 fits"),
            ("source: <private>/extract/discharge/2020.text.parquet", "when extracted"),
            ("source: <private>/extract/discharge/2020.labels.parquet", "no_note"),
        ),
    ),
    Case(
        "the provenance document edited",
        tampering.edit_document,
        (("edited: <results>/provenance.json", "its record has"),),
    ),
    Case("a page, its record and the document rewritten together: **not found**", tampering.rewrite),
    Case(
        "the same, with a copy of the document kept elsewhere (`--document`)",
        tampering.rewrite_but_for_a_copy,
        (("document: the copy of provenance.json", " of <results>/index.html"),),
    ),
]
