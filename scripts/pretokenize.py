"""Turn the cleaned notes of one window into token ids: unpadded, the first `max_tokens` of each.

Settings: {"max_tokens": 256}. The ids are those of the library's full encode with right truncation, the tokenizer's own
special tokens among them, in the smallest unsigned integer that holds its vocabulary; a literal "[SEP]" in a note is
plain text. Out come an uncompressed Arrow stream, which training maps into memory, and a manifest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lib import shards, stage, tokens

KEYS = ["visit_id", "note_id", "person_id", "index_time", "text_hash"]


@dataclass
class Counts:
    """What the manifest tells of the tokens."""

    truncated: int = 0
    tokens: int = 0
    unknown: int = 0
    longest: int = 0


def main(job: stage.Job) -> None:
    tokenizer = tokens.load(job.path("tokenizer"))
    encoder = tokens.Encoder(tokenizer, job.settings["max_tokens"])
    counts = Counts()
    schema = token_schema(pq.read_schema(job.path("shard")), tokens.id_type(tokenizer))
    batches = encoded(shards.iter_parquet(job.path("shard"), [*KEYS, "text"]), encoder, schema, counts)
    rows = shards.write_arrow(job.path("tokens"), schema, batches)
    job.say(f"{rows} notes, {counts.tokens} tokens, {counts.truncated} notes truncated")
    facts = {
        "max_tokens": job.settings["max_tokens"],
        "tokenizer_sha256": shards.sha256(job.path("tokenizer")),
        "counts": {"truncated": counts.truncated, "tokens": counts.tokens, "unknown_tokens": counts.unknown},
        "longest": counts.longest,
    }
    shards.write_json(job.path("manifest"), shards.manifest([job.path("tokens")], rows, schema, **facts))


def token_schema(clean: pa.Schema, id_type: pa.DataType) -> pa.Schema:
    """The keys as they are in the clean shard, `input_ids` as list<id_type>, `truncated` as bool."""
    missing = [name for name in [*KEYS, "text"] if name not in clean.names]
    if missing:
        raise stage.StageError(f"the clean shard lacks {', '.join(missing)}; run clean for this window again")
    keys = [pa.field(name, clean.field(name).type) for name in KEYS]
    return pa.schema([*keys, pa.field("input_ids", pa.list_(id_type)), pa.field("truncated", pa.bool_())])


def encoded(
    batches: Iterator[pa.RecordBatch], encoder: tokens.Encoder, schema: pa.Schema, counts: Counts
) -> Iterator[pa.RecordBatch]:
    """Each batch of clean rows with its texts as ids; `counts` grows on the way."""
    id_type = schema.field("input_ids").type.value_type.to_pandas_dtype()
    for batch in batches:
        if batch["text"].null_count:
            raise stage.StageError(f"the clean shard has {batch['text'].null_count} null texts; run clean again")
        read = [encoder.read(text) for text in batch["text"].to_pylist()]
        lengths = [len(ids) for ids, _ in read]
        truncated = [cut for _, cut in read]
        values = np.fromiter(chain.from_iterable(ids for ids, _ in read), id_type, sum(lengths))
        counts.truncated += sum(truncated)
        counts.tokens += len(values)
        counts.unknown += int((values == encoder.unknown).sum()) if encoder.unknown is not None else 0
        counts.longest = max([counts.longest, *lengths])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        ids = pa.ListArray.from_arrays(offsets, values)
        keys = [batch[name] for name in KEYS]
        yield pa.RecordBatch.from_arrays([*keys, ids, pa.array(truncated, pa.bool_())], schema=schema)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["shard", "tokenizer"], outputs=["tokens", "manifest"])
