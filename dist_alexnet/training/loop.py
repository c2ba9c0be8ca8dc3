"""The training loop. It does not know which strategy runs, how many ranks there are, or who started them."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

import torch

from dist_alexnet.batch import Batch
from dist_alexnet.checkpoints.checkpoint import load_tensors
from dist_alexnet.checkpoints.state import TrainingState, read_state
from dist_alexnet.data.images import ImageSet
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.evaluation.evaluation import evaluate
from dist_alexnet.evaluation.tally import Validation
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.bad_images import BadImages
from dist_alexnet.launch.late_sum import LateSum
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.runs.failure import NonFiniteLoss
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import BadImage, Stage, Steps, Validated
from dist_alexnet.telemetry.environment import versions
from dist_alexnet.training.job import Job
from dist_alexnet.training.keeper import Keeper
from dist_alexnet.training.meter import Meter
from dist_alexnet.training.pace import Pace, Work
from dist_alexnet.training.trainer import Trainer
from dist_alexnet.update.schedule import Schedule


class StopAsked(Exception):  # noqa: N818 - what happened, not an error
    """Somebody has asked the run to stop; every rank hears it at the same point."""


@dataclass
class Progress:
    """How far the run is."""

    step: int = 0  # optimizer steps done
    position: int = 0  # images taken from the endless stream
    validated_at: int = 0  # position of the newest validation
    validation: Validation | None = None  # its result


class Training:
    """One rank's part in a run."""

    def __init__(self, job: Job, strategy: Strategy, metrics: MetricsFile) -> None:
        """Build the share of the network, open the data, and go to where the run stands. Every rank does so together."""
        self.job, self.config, self.strategy, self.metrics = job, job.config, strategy, metrics
        self.train_images, self.val_images = open_data(job.data)
        self.trainer = Trainer(strategy)
        self.schedule = Schedule(self.config.train)
        self.agreement = Agreement(strategy.world, self.config.launch.timeout_s)
        self._late = LateSum(self.agreement)
        self._asked_for = ""  # the step whose sums are on their way, in words
        self._stop = False  # somebody has asked for it
        self._written = 0.0  # what the ranks have on disk of saves that go on
        self._lowest = False  # the newest validation error is
        self.meter = Meter(strategy, self.agreement, len(self.train_images))
        self.pace = Pace(self.config.train.global_batch, len(self.val_images))
        self.keeper = Keeper(job, self.trainer, self.agreement, metrics, self.pace)
        self.train_loader, self.val_loader = self._loader(self.train_images), self._loader(self.val_images)
        self.bad_images = BadImages([self.train_loader, self.val_loader], self.agreement, self.config.data.max_bad, self._tell_bad)
        self.progress = Progress()
        if job.resume:
            self._restore()
        self._first_step = self.progress.step + 1

    @property
    def epoch(self) -> float:
        """Passes over the training set so far."""
        return self.progress.position / len(self.train_images)

    def work_left(self) -> Work:
        """What there is still to do."""
        progress = self.progress
        return Work.left(self.config.train, len(self.train_images), progress.step, progress.position, progress.validated_at)

    def run(self) -> str:
        """Train to the end, or until somebody asks to stop; leaves a checkpoint and returns "completed" or "stopped".

        Raises:
            NonFiniteLoss: the loss is no number any more.
            Lost: the last checkpoint could not be written.
        """
        status = "completed"
        try:
            self._run()
        except StopAsked:
            self._save()
            status = "stopped"
        except NonFiniteLoss:  # which all ranks hear of at the same point
            self.keeper.wait()
            raise
        self.keeper.end()
        return status

    def _run(self) -> None:
        train, strategy, clock = self.config.train, self.strategy, self.strategy.clock
        nothing = torch.zeros((), device=strategy.world.device)
        if self._validation_due():  # whoever stopped the run left it to us, and the schedule must hear of it before the next step
            self._validate()
            self._save()
        batches = self.train_loader.train_batches(train.global_batch, strategy.rows(train.global_batch), self.progress.position)
        with closing(batches):
            self.meter.skip()
            while not self._finished():
                started = time.perf_counter()
                with clock("data_wait"):
                    batch = next(batches)
                lr = self.schedule.lr(self.epoch)
                loss = self.trainer.step(batch, lr, self.progress.step)
                self._agree(loss if strategy.speaks_for_its_rows else nothing, lr)
                self.progress.step += 1
                self.progress.position += train.global_batch
                if self._stop or self._report_due() or self._save_due():
                    self._settle()
                self.meter.step()
                self.pace.step(time.perf_counter() - started)
                self._after_step(lr)

    def _finished(self) -> bool:
        steps = self.config.train.max_steps
        return self.epoch >= self.config.train.epochs or (steps is not None and self.progress.step >= steps)

    def _agree(self, loss: torch.Tensor, lr: float) -> None:
        """Begin to add up the loss of this step over the ranks, and hear of the step before."""
        with self.strategy.clock("communication", "agreement"):
            told = self._late.begin(loss, self._asked(), self.bad_images.unshared, self.keeper.written)
        self._hear(told)
        self._asked_for = f"step {self.progress.step} (epoch {self.epoch:.2f}, lr {lr:g})"

    def _settle(self) -> None:
        """Hear of this step before anything is made of it."""
        with self.strategy.clock("communication", "agreement"):
            told = self._late.take()
        self._hear(told)

    def _hear(self, told: Sequence[float] | None) -> None:
        """Take the sums of a step over the ranks: refuse to go on without a loss, hear of bad images and whether to stop."""
        if told is None:
            return
        total, stop, bad, self._written = told
        if bad:
            self.bad_images.share()
        if not math.isfinite(total):
            raise NonFiniteLoss(
                f"the loss is {total} at {self._asked_for}; type a smaller train.lr, or check data.mean and data.std; "
                "--resume auto goes back to the last checkpoint"
            )
        self.meter.loss(total)
        self._stop = self._stop or bool(stop)

    def _asked(self) -> bool:
        """Whether this rank has seen a request to stop; one looks for all."""
        return self.strategy.world.rank == 0 and self.job.directory.asked_to_stop()

    def _after_step(self, lr: float) -> None:
        """Log, validate and save where it is time to. Asked to stop, a run saves but leaves validation to whoever resumes it."""
        if self.keeper.look(self._written):
            self.meter.skip()
        save, validate = self._save_due(), self._validation_due()
        if self.progress.step == self._first_step:
            self.metrics.write(Stage(doing="training"))
        if self._stop or self._report_due():
            left = self.pace.seconds_left(self.work_left())
            self.metrics.write(Steps(step=self.progress.step, epoch=self.epoch, lr=lr, seconds_left=left, **self.meter.take()))
        if self._stop:
            raise StopAsked
        if validate:
            self._validate()
        if save or (validate and self._lowest and self.config.train.keep_best):
            self._save()

    def _report_due(self) -> bool:
        return self._finished() or self._validation_due() or self.progress.step % self.config.train.log_every == 0

    def _save_due(self) -> bool:
        every = self.config.train.checkpoint_every
        return self._finished() or (self.progress.step % every == 0 if every else self._validation_due())

    def _validation_due(self) -> bool:
        every, progress = self.config.train.validate_every * len(self.train_images), self.progress
        at_the_end = self._finished() and progress.validated_at != progress.position
        return at_the_end or (every > 0 and progress.position // every > progress.validated_at // every)

    def _validate(self) -> None:
        """On the whole set, or (StopAsked) not at all."""
        strategy = self.strategy
        self.metrics.write(Stage(doing="validation"))
        with (
            self.pace.measured("validation"),
            closing(self.val_loader.eval_batches(self.config.train.global_batch, strategy.rows)) as batches,
        ):
            result = evaluate(strategy, [self.trainer.network], self._until_asked(batches), self.agreement).validation()
        self.bad_images.share()
        self.progress.validation, self.progress.validated_at = result, self.progress.position
        self._lowest = self.schedule.validated(result.top1_error)
        seconds = self.pace.newest("validation")
        self.metrics.write(Validated(step=self.progress.step, epoch=self.epoch, seconds=seconds, **result.as_dict()))
        self.meter.forget()  # evaluation is no part of the steps that are measured

    def _until_asked(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Batches of a validation, which may take longer than whoever asks for a stop will wait. Ranks have equally many."""
        for batch in batches:
            if self.agreement.sum(self._asked())[0]:
                raise StopAsked
            yield batch

    def _loader(self, images: ImageSet) -> Loader:
        return Loader(images, self.config.data, self.config.model.image_size, self.strategy.world.device, self.config.train.seed)

    def _tell_bad(self, name: str) -> None:
        self.metrics.write(BadImage(step=self.progress.step, image=name))

    def _save(self) -> None:
        self.keeper.save(self._state())
        self.meter.skip()

    def _state(self) -> TrainingState:
        validation = self.progress.validation
        return TrainingState(
            step=self.progress.step,
            position=self.progress.position,
            validated_at=self.progress.validated_at,
            optimizer=self.trainer.optimizer.scalars(),
            schedule=self.schedule.state(),
            config=asdict(self.config),
            versions=versions(),
            classes=self.train_images.classes,
            subtracted=self.train_loader.crops.subtracted,
            train_images=len(self.train_images),
            validation=validation.as_dict() if validation else None,
        )

    def _restore(self) -> None:
        assert self.job.resume
        state = read_state(self.job.resume)
        load_tensors(self.job.resume, self.strategy, self.trainer.network, self.trainer.optimizer)
        self.trainer.optimizer.load_scalars(state.optimizer)
        self.schedule.load(state.schedule)
        validation = Validation.from_dict(state.validation) if state.validation else None
        self.progress = Progress(state.step, state.position, state.validated_at, validation)
