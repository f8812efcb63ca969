"""The configuration: typed, closed, and checked whole before anything runs.

Each block is a model; each field's description is its documentation (`config/README.md` and the JSON schema are
made from them). An unknown key, a wrong type or a reference to nothing is reported with the key's path and the
nearest valid name. Settings that cannot change a result say "neutral" and reach no stage's hash.
"""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr
from pydantic import model_validator as check

from lib.config_errors import no_such
from lib.config_source import Source
from lib.config_types import Block, Count, Days, Name, Number, Scalar, Share, Variable


class Label(Block):
    """The clock of one label of a cohort."""

    horizon_days: Days = Field(description="The label looks this far beyond the index time.")
    maturity_days: Days = Field(0, description="How much later its facts (codes, claims) are complete.")
    outcome: Literal["during_stay", "after_discharge", "coding", "other"] = Field(
        "other",
        description="during_stay: a discharge note already states it, so it needs an admission cohort. coding: on a "
        "discharge cohort it is read from the text, and every table says so.",
    )


class Cohort(Block):
    """Two SELECTs: `<sql>.sql` (texts and clocks) and `<sql>.labels.sql` (labels, features, groups)."""

    sql: StrictStr = Field(description="Path of the two SQL files, without `.sql` and `.labels.sql`.")
    dialect: Literal["sqlite", "postgres", "tsql"] = Field(
        "sqlite", description="In which they are written; sqlite's is rendered for every server, the others for none."
    )
    anchor: Literal["admission", "discharge", "none"] = Field(description="The event that the index time follows.")
    notes: Literal["first", "last_before_index", "concatenate"] = Field(
        "first", description="Which of a stay's eligible notes make its text."
    )
    addenda: Literal["merge", "drop"] = Field("merge", description="Addenda filed by the index time.")
    parameters: dict[Name, Scalar | list[Scalar]] = Field({}, description="Bound to `:name` in the two files.")
    labels: dict[Name, Label] = Field(description="Its `label_*` columns and their clocks.")


class Clean(Block):
    """Ordered steps over each note's text; a step that returns nothing drops the note under its name."""

    steps: list[StrictStr | dict[StrictStr, dict[Name, Scalar]]] = Field(
        ["markup", "unicode", "whitespace", "empty", {"short": {"min_words": 5}}],
        description="Names, `name: {option: value}`, or your own `module:function`.",
    )
    drop_duplicates: StrictBool = Field(True, description="Of identical texts keep the earliest.")


class Parts(Block):
    train: Share = Field(0.7, description="Fits models, tokenizers, vocabularies.")
    tuning: Share = Field(0.1, description="Early stopping, hyper-parameters.")
    calibration: Share = Field(0.1, description="Thresholds, recalibration.")
    test: Share = Field(0.1, description="Opened only by `evaluation: final`.")

    @check(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.tuning + self.calibration + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the four shares add up to {total:g}, not 1")
        return self


class Split(Block):
    """A keyed hash of the patient (`split_key` of the labels query, else person_id) decides the part of all stays."""

    salt: StrictStr | None = Field(None, description="Key of the hash; another salt gives another split.")
    salt_env: Variable | None = Field(
        None, description="In place of `salt`: the environment's variable that holds it, so that it stands nowhere."
    )
    parts: Parts = Field(Parts(train=0.7, tuning=0.1, calibration=0.1, test=0.1), description="Shares of patients.")
    temporal_from: date | None = Field(None, description="Stays from this day on are the temporal test.")
    temporal_periods: list[StrictStr] = Field(
        [],
        description="In place of `temporal_from`: values of `split_period` (labels query) that are the temporal test.",
    )
    ledger_tolerance: Share = Field(
        0.05, description="More patients of the ledger gone, or stays under another patient, than this share: a stop."
    )

    @check(mode="after")
    def _one_salt(self) -> Self:
        if (self.salt is None) == (self.salt_env is None):
            raise ValueError("give exactly one of salt and salt_env")
        return self

    @check(mode="after")
    def _one_temporal_test(self) -> Self:
        if self.temporal_from and self.temporal_periods:
            raise ValueError("give at most one of temporal_from and temporal_periods")
        if len(set(self.temporal_periods)) < len(self.temporal_periods):
            raise ValueError("temporal_periods: each value once")
        return self

    @property
    def has_temporal_test(self) -> bool:
        return bool(self.temporal_from or self.temporal_periods)


class Task(Block):
    """A label column of a cohort, and how to read it."""

    title: StrictStr = Field(description="Its name in tables and figures.")
    cohort: Name = Field(description="One of `cohorts`.")
    label: Name = Field(description="One of the cohort's `labels`: column `label_<label>`.")
    kind: Literal["binary", "bins", "classes"] = Field(description="binary: 0 and 1; bins: ordered; classes: values.")
    edges: list[StrictInt] = Field([], description="bins: where the second and each further class begins.")
    values: list[StrictInt] = Field([], description="classes: the label's values, one a class.")
    class_names: list[StrictStr] = Field([], description="One a class; `no`, `yes` for a binary label by default.")

    @check(mode="after")
    def _classes(self) -> Self:
        if self.kind == "bins" and (not self.edges or self.edges != sorted(set(self.edges))):
            raise ValueError("bins need edges, strictly increasing")
        if self.kind == "classes" and len(set(self.values)) < 2:
            raise ValueError("classes need at least two different values")
        if (self.kind != "bins" and self.edges) or (self.kind != "classes" and self.values):
            raise ValueError(f"kind {self.kind} takes no {'edges' if self.edges else 'values'}")
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"{len(self.class_names)} class_names for {self.classes} classes")
        return self

    @property
    def classes(self) -> int:
        return {"binary": 2, "bins": len(self.edges) + 1, "classes": len(self.values)}[self.kind]

    def names(self) -> list[str]:
        if self.class_names:
            return list(self.class_names)
        return ["no", "yes"] if self.kind == "binary" else [str(c) for c in range(self.classes)]


class WordPiece(Block):
    cohorts: list[Name] = Field(description="Cohorts whose training rows it is trained on.")
    vocab_size: Count = Field(4000, description="Entries, special tokens included.")
    min_patients: Count = Field(5, description="A word counts only if this many training patients have it.")
    lowercase: StrictBool = Field(True, description="Fold case and accents.")


class Tokenizer(Block):
    """Trained here (`wordpiece`), from a local folder, or a pinned hub revision: exactly one."""

    wordpiece: WordPiece | None = Field(None, description="Train a WordPiece vocabulary on training rows only.")
    folder: StrictStr | None = Field(None, description="A local folder with tokenizer.json.")
    hub: StrictStr | None = Field(None, description="A hub model, already in the cache; needs `revision`.")
    revision: StrictStr | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="The pinned commit.")

    @check(mode="after")
    def _one(self) -> Self:
        return _exactly_one(self, "wordpiece", "folder", "hub")


class Scratch(Block):
    architecture: Literal["bert"] = Field("bert", description="BERT encoder with a linear head.")
    hidden_size: Count = Field(128, description="Width.")
    layers: Count = Field(2, description="Depth.")
    heads: Count = Field(2, description="Attention heads.")
    intermediate_size: Count = Field(512, description="Width of the feed-forward layer.")
    dropout: Share = Field(0.1, description="Dropout of hidden states and attention.")


class Start(Block):
    """From scratch, a local folder, or a pinned hub revision: exactly one."""

    scratch: Scratch | None = Field(None, description="Random weights.")
    folder: StrictStr | None = Field(None, description="A local folder with config.json and weights.")
    hub: StrictStr | None = Field(None, description="A hub model, already in the cache; needs `revision`.")
    revision: StrictStr | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="The pinned commit.")

    @check(mode="after")
    def _one(self) -> Self:
        return _exactly_one(self, "scratch", "folder", "hub")


class Training(Block):
    """How a model is finetuned. The global batch is fixed; devices only share it out."""

    global_batch_size: Count = Field(32, description="Examples a step, whatever the number of devices.")
    max_device_batch: Count = Field(32, description="What one device holds; the rest is accumulated.")
    learning_rate: Number = Field(2e-5, gt=0, description="Peak learning rate of AdamW.")
    scheduler: Literal["linear", "cosine", "constant"] = Field("linear", description="After the warm-up.")
    warmup_share: Share = Field(0.1, description="Share of the steps.")
    weight_decay: Number = Field(0.01, ge=0, description="AdamW's.")
    gradient_clipping: Number = Field(1.0, gt=0, description="Largest norm of the gradient.")
    epochs: Count = Field(10, description="At most; early stopping may end sooner.")
    evaluations_per_epoch: Count = Field(2, description="Evaluation and checkpoint this often.")
    patience: Count = Field(5, description="Evaluations without a better metric before it stops.")
    metric: Literal["auroc", "loss"] = Field("auroc", description="On the tuning part; chooses the checkpoint.")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 where the device has it.")
    cpu_threads: Count = Field(1, description="Threads of a computation on CPU; another number, other weights.")


class Model(Block):
    """A start, a tokenizer, a context length, and how it is trained."""

    start: Start = Field(description="What the weights begin as.")
    tokenizer: Name = Field(description="One of `tokenizers`.")
    max_tokens: Annotated[StrictInt, Field(ge=8)] = Field(512, description="Context length; longer notes are cut.")
    training: Training = Field(Training(), description="How it is finetuned.")


class TfIdf(Block):
    ngrams: list[Count] = Field([1, 2], min_length=2, max_length=2, description="Shortest and longest n-gram.")
    min_patients: Count = Field(5, description="A term counts only if this many training patients have it.")
    max_terms: Count = Field(50_000, description="The most frequent terms kept.")


class Baseline(Block):
    """A simple model on the same rows, through the same predictions."""

    kind: Literal["tfidf", "structured"] = Field(description="tfidf: the text; structured: the feature_* columns.")
    tfidf: TfIdf = Field(TfIdf(), description="The terms, for kind tfidf.")
    c_grid: list[Number] = Field([0.01, 0.1, 1.0, 10.0], description="Inverse penalties, chosen on the tuning part.")
    shuffle_labels: StrictBool = Field(False, description="Negative control: labels permuted before fitting.")
    permutations: Count = Field(3, description="Of a control: how many permutations, each with a model of its own.")


class Evaluate(Block):
    headline: Literal["test", "temporal_test"] = Field("test", description="The part that headline figures are of.")
    replicates: Count = Field(1000, description="Bootstrap draws of patients.")
    slope_replicates: Count = Field(200, description="Draws for the calibration slope, which is refitted.")
    seed: StrictInt = Field(7, description="Seed of the bootstrap.")
    target_sensitivity: Share = Field(0.8, description="The threshold reaches it on the calibration part.")
    reference: Name = Field("tfidf", description="The baseline that models are compared with.")


class Replay(Block):
    """`snakemake replay`: sampled stays, one a patient, are asked for again with their future deleted."""

    stays: Count = Field(200, description="Stays sampled a cohort; 200 meet a leak of 1.5 % of stays 95 times in 100.")
    seed: StrictInt = Field(1, description="Another seed, other stays.")


class CheckSource(Block):
    """`snakemake check_source`: what a source holds, told before anything is pulled from it."""

    text_windows: Annotated[StrictInt, Field(ge=2)] = Field(
        12, description="Windows whose texts are read, evenly spread, the first and the last among them; all of fewer."
    )
    teraflops: Annotated[Number, Field(gt=0)] = Field(
        100.0, description="What a GPU sustains, for the GPU-hours: 100 is about a third of an A100's peak in bf16."
    )


class Leakage(Block):
    """What the leakage certificate allows. Beyond it a run stops before it trains; within it no model knows of it."""

    max_near_duplicates: Share = Field(
        0.01, description="Share of a part's rows whose text is nearly that of another patient's training row."
    )
    max_term_auroc: Annotated[Number, Field(ge=0.5, le=1)] = Field(
        0.75, description="Of any single word of the training texts; 1 where a text is meant to tell its label."
    )
    max_lost_events: Share = Field(
        0.15, description="Share of a binary task's events that came before the note was filed, so that they are out."
    )


class Sharing(Block):
    """Labels and probabilities under random keys for a reviewer, in results/<name>/share/: see docs/sharing.md."""

    enabled: StrictBool = Field(False, description="Write them. The steward decides whether they leave the house.")
    groups: list[Name] = Field(["age_band", "sex"], description="Of the `group_*` columns, those that are shared.")
    min_group: Count = Field(10, description="Values and combinations of fewer patients of a part become `other`.")


class Config(Block):
    """The whole of a run's configuration."""

    name: Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(description="results/<name>/.")
    private_root: StrictStr = Field("results/private", description="Texts, rows, models. A site puts it elsewhere.")
    evaluation: Literal["development", "final"] = Field("development", description="final opens the test parts.")
    source: Source = Field(description="Where notes come from.")
    cohorts: dict[Name, Cohort] = Field(min_length=1, description="Who is in, and when the prediction is made.")
    clean: Clean = Field(Clean(), description="What is done to texts.")
    split: Split = Field(description="Who trains and who tests.")
    tasks: dict[Name, Task] = Field(min_length=1, description="What is predicted.")
    tokenizers: dict[Name, Tokenizer] = Field({}, description="How text becomes tokens.")
    models: dict[Name, Model] = Field({}, description="Language models.")
    baselines: dict[Name, Baseline] = Field({}, description="What they have to beat.")
    sizes: list[Literal["all"] | Count] = Field(["all"], min_length=1, description="Training rows; nested subsets.")
    seeds: list[StrictInt] = Field([0], min_length=1, description="One finetune a seed.")
    evaluate: Evaluate = Field(Evaluate(), description="Intervals, thresholds, the headline.")
    replay: Replay = Field(Replay(), description="How many stays are replayed without their future.")
    check_source: CheckSource = Field(CheckSource(), description="How much of the source is looked at beforehand.")
    leakage: Leakage = Field(Leakage(), description="Limits of the leakage certificate.")
    share: Sharing = Field(Sharing(), description="What a reviewer may be given; off by default.")
    min_cell: Annotated[StrictInt, Field(ge=0)] = Field(10, description="Smaller counts are not reported.")

    @check(mode="after")
    def _references(self) -> Self:
        wrong: list[str] = []
        for name, task in self.tasks.items():
            if task.cohort not in self.cohorts:
                wrong.append(f"tasks.{name}.cohort: {no_such(task.cohort, self.cohorts)}")
                continue
            cohort = self.cohorts[task.cohort]
            if task.label not in cohort.labels:
                wrong.append(f"tasks.{name}.label: {no_such(task.label, cohort.labels)}")
            elif cohort.labels[task.label].outcome == "during_stay" and cohort.anchor == "discharge":
                wrong.append(f"tasks.{name}: a discharge note states {task.label}; take a cohort anchored at admission")
        for name, model in self.models.items():
            if model.tokenizer not in self.tokenizers:
                wrong.append(f"models.{name}.tokenizer: {no_such(model.tokenizer, self.tokenizers)}")
            if name in self.baselines:
                wrong.append(f"models.{name}: a baseline has the same name")
        for name, tokenizer in self.tokenizers.items():
            for cohort_name in tokenizer.wordpiece.cohorts if tokenizer.wordpiece else []:
                if cohort_name not in self.cohorts:
                    wrong.append(f"tokenizers.{name}.wordpiece.cohorts: {no_such(cohort_name, self.cohorts)}")
        if self.baselines and self.evaluate.reference not in self.baselines:
            wrong.append(f"evaluate.reference: {no_such(self.evaluate.reference, self.baselines)}")
        start = self.split.temporal_from
        if start and not self.source.data_start < start <= self.source.data_end:
            wrong.append(f"split.temporal_from: {start} lies outside source.data_start to source.data_end")
        if self.evaluate.headline == "temporal_test" and not self.split.has_temporal_test:
            wrong.append("evaluate.headline: temporal_test needs split.temporal_from or split.temporal_periods")
        if not self.models and not self.baselines:
            wrong.append("models: nothing to fit; name a model or a baseline")
        if len(set(self.seeds)) < len(self.seeds) or len(set(self.sizes)) < len(self.sizes):
            wrong.append("seeds, sizes: each value once")
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def is_coding(self, task: str) -> bool:
        """Whether a task reads from the discharge note what coders will read from it: coding, not prediction."""
        cohort = self.cohorts[self.tasks[task].cohort]
        return cohort.anchor == "discharge" and cohort.labels[self.tasks[task].label].outcome == "coding"


def _exactly_one(block: Any, *names: str) -> Any:
    given = [n for n in names if getattr(block, n) is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}")
    if (block.hub is None) != (block.revision is None):
        raise ValueError("hub and revision go together: a name alone can change under you")
    return block
