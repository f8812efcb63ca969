"""transformers' Trainer, with what it gets wrong put right.

- The loss is summed and divided by the number of examples of the whole global batch. Left alone, the library doubles
  loss and gradient of a classifier with two processes or two accumulation steps.
- Examples come in an order that seed and epoch decide (`batches`), so that a resumed epoch goes on where it stopped.
- Evaluations and checkpoints fall on the parts of an epoch; patience and the best step follow from the history, which
  each checkpoint holds. A checkpoint is sealed when all of it is written (`checkpoints`).
- A signal or a deadline asks for a checkpoint at the end of the step; the caller learns that the training is not
  complete.
"""

import ctypes
import os
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from transformers import EvalPrediction, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from lib import batches, checkpoints, shards, training_state
from lib.interruption import Interruption
from lib.stage import StageError
from lib.training import History, Plan, tuning_metrics
from lib.usage import Usage

HISTORY = "history.json"
SECONDS_BETWEEN_LINES = 10.0


def mean_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
    """Cross-entropy summed over this device's examples, divided by those of the whole global batch."""
    total = cross_entropy(outputs.logits.float(), labels, ignore_index=batches.IGNORED, reduction="sum")
    return total / (labels.ne(batches.IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)


def _metrics(output: EvalPrediction) -> dict[str, Any]:
    return tuning_metrics(cast(Any, output.predictions), cast(Any, output.label_ids))


class Pace(TrainerCallback):
    """When a step ends: is it time to evaluate and save, has a signal come, how far is it."""

    def __init__(self, plan: Plan, interruption: Interruption, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._interruption = interruption
        self._say = say
        self._usage = Usage()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._usage.sample()
            self._say(f"used: {self._usage.line()}")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = self._said = time.monotonic()
        self._first = self._said_step = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._plan.is_evaluation(state.global_step):
            control.should_evaluate = control.should_save = True
        if self._signalled(args):
            control.should_save = control.should_training_stop = True
        now = time.monotonic()
        if state.is_world_process_zero and now - self._said >= SECONDS_BETWEEN_LINES:
            self._say(self._line(state.global_step, now))
            self._usage.sample()
            self._said, self._said_step = now, state.global_step

    def _signalled(self, args: Any) -> bool:
        flag = self._interruption.name is not None
        if args.world_size > 1:  # all processes stop at the same step, whichever was told
            shared = torch.tensor(int(flag), device=args.device)
            torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
            flag = bool(shared.item())
            self._interruption.note("a signal to another process" if flag else None)
        return flag

    def _line(self, step: int, now: float) -> str:
        plan = self._plan
        batch = plan.examples_per_step
        rate = (step - self._said_step) * batch / (now - self._said)
        left = (now - self._began) / (step - self._first) * (plan.steps - step)
        epoch = step / plan.steps_per_epoch
        return f"step {step}/{plan.steps}, epoch {epoch:.1f}, {rate:.0f} examples/s, at most {left:.0f} s left"


class NoteTrainer(Trainer):
    """A Trainer for `plan`, whose evaluations and loss go into `history`."""

    def __init__(
        self,
        model: PreTrainedModel,
        train: batches.Notes,
        tuning: batches.Notes,
        plan: Plan,
        training: Mapping[str, Any],
        history: History,
        folder: Path,
        seed: int,
        pad: int,
        interruption: Interruption,
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._history = history
        self._say = say
        self._folder = folder
        super().__init__(
            model=model,
            args=arguments(plan, training, folder, seed),
            data_collator=partial(batches.collate, pad=pad),
            train_dataset=train,
            eval_dataset=tuning,
            compute_loss_func=mean_loss,
            compute_metrics=_metrics,
            callbacks=[Pace(plan, interruption, say)],
        )
        self.remove_callback(PrinterCallback)
        self._sampler = batches.LengthGrouped(train.lengths, plan.examples_per_step, seed, self.args.world_size)
        self._interval = torch.tensor(history.loss_sum, dtype=torch.float64, device=self.args.device)

    def resume(self, step: int | None) -> None:
        """Train from the whole checkpoint of `step` (None: from the start) until done, exhausted or interrupted."""
        if step is None:
            self._history.goes_on(0, self.args.world_size)
            self.train()
            return
        checkpoint = checkpoints.path_of(self._folder, step)
        self._history.restore(shards.read_json(checkpoint / HISTORY))
        if (before := self._history.goes_on(step, self.args.world_size)) and self.is_world_process_zero():
            self._say(f"made by {before} processes; {self.args.world_size} go on, equal but for the last digits")
        self._interval.fill_(self._history.loss_sum)
        if step < self._plan.steps and not self._history.exhausted():
            self.train(resume_from_checkpoint=str(checkpoint))

    def _get_train_sampler(self, train_dataset: Any = None) -> batches.LengthGrouped:
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> torch.utils.data.Sampler[int]:
        return batches.Longest(eval_dataset.lengths)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        self._interval += loss
        return loss

    def _interval_loss(self) -> float:
        """Sum of the step losses since the last evaluation, over all processes."""
        # The library multiplies each process's loss by their number, because gradients are averaged over them.
        return float(self.accelerator.reduce(self._interval, "mean").item())

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        metrics = super().evaluate(*args, **kwargs)
        step = self.state.global_step
        train_loss = self._interval_loss() / (step - self._history.last_step)
        tuning = {"loss": metrics["eval_log_loss"], "auroc": metrics["eval_auroc"]}
        self._history.add(step, step / self._plan.steps_per_epoch, train_loss, tuning)
        self._interval.zero_()
        if self.is_world_process_zero():
            auroc = "undefined" if tuning["auroc"] is None else f"{tuning['auroc']:.4f}"
            self._say(
                f"step {step}/{self._plan.steps}: train loss {train_loss:.4f}, "
                f"tuning loss {tuning['loss']:.4f}, tuning AUROC {auroc}"
            )
        self.control.should_training_stop |= self._history.exhausted()
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As the library, then sealed. StageError where it cannot be written; those before it are left as they are."""
        folder = checkpoints.path_of(self._folder, self.state.global_step)
        try:
            self._save_whole(folder, model, trial)
        except (OSError, SafetensorError) as error:
            checkpoints.remove(folder)
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StageError(
                f"{folder.name} could not be saved ({reason}): see whether the disk with the private root is full, "
                "and run again, to go on from the checkpoint before it"
            ) from error

    def _save_whole(self, folder: Path, model: Any, trial: Any) -> None:
        if self.args.should_save and folder.exists():
            checkpoints.remove(folder)  # left there by a process that died; what is whole is never saved again
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)
        self._history.loss_sum = self._interval_loss()
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            shards.write_json(folder / HISTORY, self._history.state())
            checkpoints.seal(folder)
            best = self._history.best()
            checkpoints.prune(self._folder, best["step"] if best else None)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        # The library's own would add its arguments as a pickle.
        if self.args.should_save and output_dir is not None:
            cast(PreTrainedModel, self.model).save_pretrained(output_dir, state_dict=state_dict)

    # The library's own of these four would write pickles, and go on without a word where a file is missing.

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.args.should_save:
            training_state.save_optimizer(Path(output_dir), self.optimizer, self.lr_scheduler)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            training_state.load_optimizer(Path(checkpoint), self.optimizer, self.lr_scheduler)

    def _save_rng_state(self, output_dir: str) -> None:
        training_state.save_random(Path(output_dir), self.args.process_index)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None and training_state.random_file(Path(checkpoint), self.args.process_index).is_file():
            training_state.load_random(Path(checkpoint), self.args.process_index)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # the library walks through all parameters at each step for a figure that nobody reads


def arguments(plan: Plan, training: Mapping[str, Any], folder: Path, seed: int) -> TrainingArguments:
    """The library's arguments for a plan; evaluation, saving and logging are ours, hence off."""
    cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=plan.device_batch,
        per_device_eval_batch_size=training["max_device_batch"],
        gradient_accumulation_steps=plan.accumulation,
        max_steps=plan.steps,
        learning_rate=training["learning_rate"],
        weight_decay=training["weight_decay"],
        max_grad_norm=training["gradient_clipping"],
        lr_scheduler_type=training["scheduler"] if training["scheduler"] != "constant" else "constant_with_warmup",
        warmup_steps=plan.warmup_steps,
        bf16=precision(training["precision"]) == "bf16",
        seed=seed,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        log_level="error",
        report_to="none",
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        ddp_backend="gloo" if processes() > 1 and not cuda else None,
        ddp_find_unused_parameters=False,
    )


def precision(asked: str) -> str:
    """fp32 or bf16: `asked`, or for "auto" bf16 where the device has it. StageError for bf16 where it has not."""
    has = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if asked == "bf16" and not has:
        raise StageError("training.precision is bf16 and there is no GPU that has it; use auto or fp32")
    return "bf16" if has and asked != "fp32" else "fp32"


def processes() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leave(run: NoteTrainer) -> None:
    """Leave the group of processes, if there is one."""
    if torch.distributed.is_initialized():
        # Never freed: the wrapper's destructor holds the interpreter's lock while it joins a thread of gloo's that may
        # be waiting for that lock. Of 25 runs with two processes 8 hung there, trained and saved.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(run.model_wrapped))
        torch.distributed.destroy_process_group()


def prepare_device(cpu_threads: int) -> None:
    """Threads and determinism. StageError where the library would spread batches over GPUs by itself."""
    torch.set_num_threads(cpu_threads)
    visible = torch.cuda.device_count()
    if visible > 1 and "WORLD_SIZE" not in os.environ:
        raise StageError(
            f"{visible} GPUs are visible to one process, which would multiply the batch size by {visible}; "
            "set CUDA_VISIBLE_DEVICES to one, or start with torchrun"
        )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it alone
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads it
    warnings.filterwarnings("ignore", module=r"torch|transformers|accelerate")
