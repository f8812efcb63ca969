"""Simulated prediction files for the tests of evaluate, compare and the report."""

import datetime

import numpy as np
import pyarrow as pa

from lib import shards

BINARY = {"kind": "binary", "classes": 2, "class_names": ["no", "yes"], "ordered": False}
BINS = {"kind": "bins", "classes": 4, "class_names": ["0-2", "3", "4-5", "> 5"], "ordered": True}
CLASSES = {"kind": "classes", "classes": 3, "class_names": ["a", "b", "c"], "ordered": False}


def outcomes(rows, classes=2, seed=0, share=None):
    """visit, person, label and the true class probabilities: patients share part of their risk."""
    rng = np.random.default_rng(seed)
    person = np.sort(rng.integers(max(1, int(rows * 0.7)), size=rows))
    risk = rng.normal(size=max(1, rows))[person] + 0.7 * rng.normal(size=rows)
    z = risk[:, None] * np.linspace(-1, 1, classes) + np.log(np.full(classes, 1 / classes) if share is None else share)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (rng.random(rows)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)
    return {"visit": 10 * np.arange(rows) + 3, "person": person, "label": label, "p": p, "seen": rng.random(rows) < 0.4}


def table(truth, noise=0.0, seed=1, text=False):
    """A prediction table; `noise` blurs the true probabilities as a worse model would, `text` gives text ids."""
    rng = np.random.default_rng(seed)
    p = truth["p"] * np.exp(noise * rng.normal(size=truth["p"].shape))
    p = p / p.sum(axis=1, keepdims=True)
    visit, person = truth["visit"], truth["person"] + 100
    ids = {"visit_id": visit, "note_id": visit + 50_000, "person_id": person}
    columns = {
        k: pa.array([f"x{i:07d}" for i in v] if text else v, pa.string() if text else None) for k, v in ids.items()
    }
    columns["index_time"] = pa.array([datetime.datetime(2015, 3, 1)] * len(visit), pa.timestamp("us"))
    columns["seen"] = pa.array(truth["seen"])
    columns["label"] = pa.array(truth["label"].astype(np.int64), pa.int64())
    return pa.table(columns | {f"p_{k}": pa.array(p[:, k], pa.float64()) for k in range(p.shape[1])})


def patients(*tables):
    """Positions of each patient's rows, patients in the order in which replicates number them: label and all p."""
    frames = [table.to_pandas() for table in tables]
    rows = {}
    for i, person in enumerate(frames[0].person_id):
        p = [frame[c][i] for frame in frames for c in frame.columns if c.startswith("p_")]
        rows.setdefault(person, []).append(([frames[0].label[i], *p], i))
    ordered = sorted(
        (sorted(of_one) for of_one in rows.values()), key=lambda of_one: [content for content, _ in of_one]
    )
    return [np.array([i for _, i in of_one]) for of_one in ordered]


def write(path, content):
    """Write the table and give the path back."""
    shards.write_parquet(path, content.schema, [content])
    return path
