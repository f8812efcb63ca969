"""What can be done to a finished run: each function does one thing to a copy of it; `tampering_cases` has the words."""

import shutil
import sqlite3
from typing import Any

import pyarrow as pa

from lib import records, shards
from tampered import Room, digest

PREDICT, EVALUATE = "<private>/predict/readmission", "<results>/evaluate/readmission"
FITTED, CLEAN = "<private>/baseline/readmission/shuffled", "<private>/clean/discharge"
METRICS, TABLE, SUMMARY = f"{EVALUATE}/tiny/all-0.json", "<results>/compare/readmission.json", "<results>/summary.csv"
FASTER = {"models": {"tiny": {"training": {"learning_rate": 0.002}}}}


def nothing(_: Room) -> None:
    pass


def _better(metrics: dict[str, Any]) -> None:
    metrics["parts"]["test"]["auroc"]["value"] = 0.912


def edit_metrics(room: Room) -> None:
    room.edit(f"{EVALUATE}/tiny/all-0.json", _better)


def edit_metrics_and_record(room: Room) -> None:
    edit_metrics(room)
    room.remember(f"{EVALUATE}/tiny/all-0.json")


def edit_table(room: Room) -> None:
    room.edit("<results>/compare/readmission.json", lambda table: table["rows"][0]["auroc"].update(value=0.912))


def _summary(room: Room) -> str:
    return room.path("<results>/summary.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[7]


def edit_summary(room: Room) -> None:
    room.replace("<results>/summary.csv", _summary(room), "0.912")


def edit_summary_and_record(room: Room) -> None:
    edit_summary(room)
    room.remember("<results>/summary.txt")


def swap_shards(room: Room) -> None:
    room.exchange(f"{CLEAN}/2018.parquet", f"{CLEAN}/2019.parquet")


def swap_predictions(room: Room) -> None:
    room.exchange(f"{PREDICT}/shuffled/all-0/test.parquet", f"{PREDICT}/shuffled/all-1/test.parquet")


def swap_weights(room: Room) -> None:
    room.exchange(f"{FITTED}/all-0/model.safetensors", f"{FITTED}/all-1/model.safetensors")


def swap_weights_and_say_so(room: Room) -> None:
    swap_weights(room)
    for seed in (0, 1):
        room.describe(f"{FITTED}/all-{seed}/manifest.json")
        room.remember(f"{FITTED}/all-{seed}/model.json")


def edit_predictions(room: Room) -> None:
    path = room.path(f"{PREDICT}/tiny/all-0/test.parquet")
    table = shards.read_parquet(path)
    label = [float(value) for value in table["label"].to_pylist()]
    p = [(0.7 * old + 0.3 * value) for old, value in zip(table["p_1"].to_pylist(), label, strict=True)]
    for name, values in (("p_1", p), ("p_0", [1 - value for value in p])):
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.float64()))
    path.unlink()
    shards.write_parquet(path, table.schema, table.to_batches())


def edit_predictions_and_say_so(room: Room) -> None:
    edit_predictions(room)
    room.describe(f"{PREDICT}/tiny/all-0/manifest.json")
    room.remember(f"{PREDICT}/tiny/all-0/tuning.parquet")


def edit_manifest(room: Room) -> None:
    room.edit("<private>/split/discharge/2019.json", lambda told: told.update(rows=told["rows"] + 100))


def point_manifest_elsewhere(room: Room) -> None:
    def change(told: dict[str, Any]) -> None:
        told["files"]["train.arrow"]["sha256"] = "0" * 64

    room.edit("<private>/dataset/readmission/text/train.json", change)
    room.remember("<private>/dataset/readmission/text/train.json")


def edit_history(room: Room) -> None:
    folder = "<private>/finetune/readmission/tiny/all-0"
    room.edit(f"{folder}/history.json", lambda history: history["best"].update(tuning_auroc=0.9))
    room.describe(f"{folder}/manifest.json")
    room.remember(f"{folder}/config.json")


def replace_extract(room: Room) -> None:
    path = room.path("<private>/extract/discharge/2020.text.parquet")
    table = shards.read_parquet(path)
    path.unlink()
    shards.write_parquet(path, table.schema, table.slice(1).to_batches())


def extract_again(room: Room) -> None:
    """As a job leaves it: shard, manifest and record agree."""
    replace_extract(room)
    room.describe("<private>/extract/discharge/2020.text.json")
    room.remember("<private>/extract/discharge/2020.text.parquet")


def replace_tokenizer(room: Room) -> None:
    room.edit(
        "<private>/tokenizers/notes/tokenizer.json", lambda tokenizer: tokenizer.update(padding=None, version="2")
    )


def delete_file(room: Room) -> None:
    room.remove(f"{PREDICT}/tfidf/all-0/test.parquet")


def delete_record(room: Room) -> None:
    room.remove(f"<private>/eligibility/readmission.parquet{records.ENDING}")


def cut_record(room: Room) -> None:
    name = f"<private>/finetune/readmission/tiny/all-0/config.json{records.ENDING}"
    room.put(name, room.path(name).read_text(encoding="utf-8")[:200])


def put_another_record(room: Room) -> None:
    name = f"{EVALUATE}/{{}}{records.ENDING}"
    room.put(name.format("tiny/all-0.json"), room.path(name.format("tfidf/all-0.json")).read_bytes())
    room.replace(name.format("tiny/all-0.json"), '"stage":"evaluate"', '"stage":"predict"')


def change_config(room: Room) -> None:
    room.configure(FASTER)


def one_permutation_less(room: Room) -> None:
    room.configure({"baselines": {"shuffled": {"permutations": 2}}})


def invent_an_input(room: Room) -> None:
    read = {f"{PREDICT}/better/all-0/test.parquet": "0" * 64}
    room.remember(METRICS, inputs=read)


def leave_former_seed(room: Room) -> None:
    for folder, first in (("<private>/predict", "tuning.parquet"), ("<private>/baseline", "model.json")):
        shutil.copytree(
            room.path(f"{folder}/readmission/shuffled/all-2"), room.path(f"{folder}/readmission/shuffled/all-9")
        )
        assert room.path(f"{folder}/readmission/shuffled/all-9/{first}{records.ENDING}").is_file()


def change_code(room: Room) -> None:
    room.put(
        "scripts/lib/calibration.py", room.path("scripts/lib/calibration.py").read_text("utf-8") + "STEEPER = 1.5\n"
    )


def change_lock(room: Room) -> None:
    lock = room.path("requirements.lock").read_text(encoding="utf-8")
    [line] = [line for line in lock.splitlines() if line.startswith("safetensors==")]
    room.replace("requirements.lock", line, "safetensors==0.0.1")


def hush(room: Room) -> None:
    change_config(room)
    room.snakemake("--touch")


def clone_without_metadata(room: Room) -> None:
    assert not (room.folder / ".snakemake").exists()


def dirty_tree(room: Room) -> None:
    room.put(".gitignore", "results/\n__pycache__/\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it ran"]):
        room.git(*words)
    room.put("scripts/lib/page.py", room.path("scripts/lib/page.py").read_text(encoding="utf-8") + "# shorter\n")


def run_on_a_dirty_tree(room: Room) -> None:
    dirty_tree(room)
    room.remove("<results>/config.yaml")
    room.snakemake()
    room.git("commit", "-q", "-a", "-m", "too late")


def edit_record(room: Room) -> None:
    room.remember(f"{EVALUATE}/tiny/all-0.json", dirty=False, commit="1" * 40)


def edit_code_in_record(room: Room) -> None:
    room.remember(METRICS, code="0" * 64)


def ask_source(room: Room) -> None:
    room.arguments.append("--source")


def lose_a_note(room: Room) -> None:
    path = room.path("<private>/hospital.sqlite")
    content = path.read_bytes()
    room.put("<private>/hospital.sqlite", content)
    texts = shards.read_parquet(room.path("<private>/extract/discharge/2020.text.parquet"), ["note_id"])
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM note WHERE note_id = ?", [texts["note_id"][0].as_py()])
    database.close()
    ask_source(room)


def edit_document(room: Room) -> None:
    room.edit("<results>/provenance.json", lambda told: told.update(min_cell=1))


def rewrite(room: Room) -> None:
    """A page, its record and the run's own document: all that tells of it."""
    room.replace("<results>/index.html", f"{float(_summary(room)):.3f}", "0.912")
    room.remember("<results>/summary.txt")

    def agree(told: dict[str, Any]) -> None:
        told["outputs"]["<results>/index.html"] = digest(room.path("<results>/index.html"))

    room.edit("<results>/provenance.json", agree)
    room.remember("<results>/provenance.json")


def rewrite_but_for_a_copy(room: Room) -> None:
    shutil.copyfile(room.path("<results>/provenance.json"), room.folder / "kept.json")
    rewrite(room)
    room.arguments += ["--document", "kept.json"]
