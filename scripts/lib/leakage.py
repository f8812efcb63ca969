"""The leakage certificate of a task: each check with its number, its limit and a verdict, zeros included.

Patients in two parts and identical texts in two parts are the leaks most often found in published models (Kapoor and
Narayanan, Patterns 2023); near-duplicates, words that tell the label, notes filed after the outcome and label windows
that reach into the temporal test are others. What a source does not know (a filing time, for instance) is "not
verifiable", never zero. A number of few rows is hidden (None beside another verdict): see `disclosure`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.minhash import SHINGLE, SIMILAR
from lib.note_times import of_time
from lib.revealing import MIN_CLASS_ROWS, MIN_ROWS, Term
from lib.splits import PARTS, TEMPORAL
from lib.verdicts import Check, Checks

WORDS = "highest AUROC of a single word of the training texts"
TELLING = 0.6  # beyond it words are counted


@dataclass(frozen=True)
class Evidence:
    """What is looked at: the task's eligibility rows, manifests of its windows, its cohort's near-duplicates, words.

    `rows`: visit_id, person_id, anchor_time, index_time, step, reason, part, label, text_hash of every stay. `pairs`
    and `duplicates`: the shard and the manifest of `duplicates`. `words`: from `revealing.ranked`.
    """

    rows: pa.Table
    extracts: Sequence[Mapping[str, Any]]
    cleaned: Sequence[Mapping[str, Any]]
    pairs: pa.Table
    duplicates: Mapping[str, Any]
    words: Sequence[Term] | None


def certificate(found: Evidence, settings: Mapping[str, Any]) -> dict[str, Any]:
    """{"task", "checks": [{"check", "value", "limit", "verdict", "detail"}], "verdict"}.

    `settings`: task, kind, anchor, horizon_days, maturity_days, temporal_from, temporal_periods, limits, min_cell. The
    verdict is "fail" if any check fails.
    """
    checks, limits = Checks(settings["min_cell"]), settings["limits"]
    rows = found.rows.filter(pc.is_valid(found.rows["part"]))
    made = [
        *_between_parts(checks, rows),
        *_copies(checks, found),
        *_near_duplicates(checks, rows, found, limits["max_near_duplicates"]),
        *_words(checks, found.words, limits["max_term_auroc"]),
        *of_time(checks, rows, found.extracts, settings),
    ]
    if settings["kind"] == "binary":
        made.append(_lost_events(checks, found.rows, limits["max_lost_events"]))
    failed = any(check["verdict"] == "fail" for check in made)
    return {"task": settings["task"], "checks": made, "verdict": "fail" if failed else "pass"}


def _between_parts(checks: Checks, rows: pa.Table) -> Iterator[Check]:
    parts = rows["part"].to_pylist()
    for column, what in (("person_id", "patients"), ("visit_id", "stays"), ("text_hash", "identical texts")):
        held: dict[str, set[Any]] = {part: set() for part in (*PARTS, TEMPORAL)}
        for part, key in zip(parts, rows[column].to_pylist(), strict=True):
            held[part].add(key)
        for one, other in combinations(PARTS, 2):
            shared = len(held[one] & held[other])
            yield checks.none(f"{what} in {one} and {other}", shared, "the parts must not share any")
        if column != "person_id":
            earlier = set().union(*(held[part] for part in PARTS))
            yield checks.none(
                f"{what} in temporal test and before", len(earlier & held[TEMPORAL]), "none may be shared"
            )
        else:
            seen, all_of = len(held["train"] & held[TEMPORAL]), len(held[TEMPORAL])
            name = "patients of the temporal test seen in training"
            yield checks.count(name, seen, all_of, "; figures are given for both")


def _copies(checks: Checks, found: Evidence) -> Iterator[Check]:
    """Identical texts that were dropped: within a window by `clean`, of a later window by `eligibility`."""
    copies = [manifest["counts"]["copies"] for manifest in found.cleaned]
    counted = {whose: sum(window[whose] for window in copies) for whose in ("same patient", "another patient")}
    owner: dict[bytes, Any] = {}
    columns = (found.rows[name].to_pylist() for name in ("text_hash", "person_id", "reason"))
    for digest, person, reason in zip(*columns, strict=True):
        first = person if digest is None else owner.setdefault(digest, person)
        if digest is not None and reason == "duplicate text":
            counted["same patient" if person == first else "another patient"] += 1
    stays = sum(manifest["rows"] + sum(manifest["counts"]["copies"].values()) for manifest in found.cleaned)
    for whose, number in counted.items():
        name = f"copies of {whose.replace('same', 'the same')}'s text, dropped"
        yield checks.count(name, number, stays, " texts; of identical ones the earliest is kept")


def _near_duplicates(checks: Checks, rows: pa.Table, found: Evidence, limit: float) -> Iterator[Check]:
    part_of = dict(zip(rows["visit_id"].to_pylist(), rows["part"].to_pylist(), strict=True))
    patient_of = dict(zip(rows["visit_id"].to_pylist(), rows["person_id"].to_pylist(), strict=True))
    like_training: dict[str, set[Any]] = {part: set() for part in (*PARTS[1:], TEMPORAL)}
    carried: set[Any] = set()
    for a, b in zip(found.pairs["visit_id_a"].to_pylist(), found.pairs["visit_id_b"].to_pylist(), strict=True):
        same_patient = patient_of.get(a) == patient_of.get(b)  # by the key of the split
        for one, other in ((a, b), (b, a)):
            part, against = part_of.get(one), part_of.get(other)
            if part in like_training and against == "train" and not same_patient:
                like_training[part].add(one)
            if part == TEMPORAL and against in PARTS and same_patient:
                carried.add(one)
    capped = found.duplicates["counts"]["buckets not compared in full"]
    how = f"Jaccard similarity of {SHINGLE}-word shingles of {SIMILAR:g} and more"
    how += f"; a lower bound, {capped} buckets of very frequent texts were not compared in full" if capped else ""
    sizes = {part: list(part_of.values()).count(part) for part in like_training}
    for part, like in like_training.items():
        name = f"near-duplicates of another patient's training text in {part.replace('_', ' ')}"
        yield checks.share(name, len(like), sizes[part], limit, how)
    name = "near-duplicates of the same patient's earlier text in temporal test"
    yield checks.share(name, len(carried), sizes[TEMPORAL], None, how)


def _words(checks: Checks, words: Sequence[Term] | None, limit: float) -> Iterator[Check]:
    if not words:
        few = (
            f"no class, with the rest against it, of {MIN_CLASS_ROWS} rows" if words is None else "no word is frequent"
        )
        yield checks.unknown(WORDS, limit, few)
        return
    number = len(words)
    detail = f"of {number} words in at least {MIN_ROWS} rows; the words are in leakage/ of the private folder"
    yield checks.number(WORDS, round(words[0].auroc, 4), limit, detail, words[0].auroc > limit)
    telling = sum(word.auroc > TELLING for word in words)
    yield checks.number(f"words with an AUROC over {TELLING:g}", telling, None, f"of {number}")


def _lost_events(checks: Checks, rows: pa.Table, limit: float) -> Check:
    """Events before the note was there are out of the data: where they are many, those left are a selected lot."""
    name = "events lost because the note was filed after them"
    lost = pc.sum(pc.equal(rows["reason"], "event_before_index")).as_py() or 0
    if not lost:  # a query that calls such stays late_note looks the same
        return checks.unknown(name, limit, "no stay has the reason event_before_index; its query may not give it")
    seen = pc.sum(pc.and_(pc.is_valid(rows["part"]), pc.equal(rows["label"], 1))).as_py() or 0
    detail = "where notes are often filed late, the events that are left are a selected lot"
    return checks.share(name, lost, lost + seen, limit, detail)
