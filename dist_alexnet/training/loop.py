"""The training loop. It does not know which strategy runs, how many ranks there are, or who started them."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dist_alexnet.batch import Batch
from dist_alexnet.checkpoints import checkpoint
from dist_alexnet.checkpoints.state import TrainingState, read_state
from dist_alexnet.data.images import ImageSet
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.evaluation.evaluation import evaluate
from dist_alexnet.evaluation.tally import Validation
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.bad_images import BadImages
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.runs.failure import NonFiniteLoss
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.telemetry.environment import versions
from dist_alexnet.training.job import Job
from dist_alexnet.training.meter import Meter
from dist_alexnet.training.pace import Pace, Work
from dist_alexnet.update.optimizer import VelocitySGD
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
        self.network = strategy.build()
        self.net = strategy.parallelize(self.network)
        self.optimizer = VelocitySGD(strategy.updated(self.network), self.config.train)
        self.schedule = Schedule(self.config.train)
        self.agreement = Agreement(strategy.world, self.config.launch.timeout_s)
        self.meter = Meter(strategy, self.agreement, len(self.train_images))
        self.pace = Pace(self.config.train.global_batch, len(self.val_images))
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
        """Train to the end, or until somebody asks to stop; leaves a checkpoint and returns "completed" or "stopped"."""
        try:
            self._run()
        except StopAsked:
            self._save()
            return "stopped"
        return "completed"

    def _run(self) -> None:
        train, strategy, clock = self.config.train, self.strategy, self.strategy.clock
        if self._validation_due():  # whoever stopped the run left it to us, and the schedule must hear of it before the next step
            self._validate()
            self._save()
        batches = self.train_loader.train_batches(train.global_batch, strategy.rows(train.global_batch), self.progress.position)
        with closing(batches):
            while not self._finished():
                started = time.perf_counter()
                with clock("data_wait"):
                    batch = next(batches)
                with clock("h2d"):
                    batch = batch.to(strategy.world.device, self.network.dtype)
                lr = self.schedule.lr(self.epoch)
                loss = strategy.train_step(self.net, self.optimizer, lr, batch, self.progress.step)
                stop = self._agree(float(loss))
                self.progress.step += 1
                self.progress.position += train.global_batch
                seconds = time.perf_counter() - started
                self.meter.step(train.global_batch, seconds)
                self.pace.step(seconds)
                self._after_step(stop, lr)

    def _finished(self) -> bool:
        steps = self.config.train.max_steps
        return self.epoch >= self.config.train.epochs or (steps is not None and self.progress.step >= steps)

    def _agree(self, loss: float) -> bool:
        """Add up the loss of this step over the ranks, refuse to go on without one, hear of bad images and whether to stop."""
        strategy = self.strategy
        total, stop, bad = self.agreement.sum(loss if strategy.speaks_for_its_rows else 0.0, self._asked(), self.bad_images.unshared)
        if bad:
            self.bad_images.share()
        if not math.isfinite(total):
            raise NonFiniteLoss(
                f"the loss is {total} at step {self.progress.step} (epoch {self.epoch:.2f}, lr {self.schedule.lr(self.epoch):g}); "
                "type a smaller train.lr, or check data.mean and data.std; --resume auto goes back to the last checkpoint"
            )
        self.meter.loss(total)
        return bool(stop)

    def _asked(self) -> bool:
        """Whether this rank has seen a request to stop; one looks for all."""
        return self.strategy.world.rank == 0 and self.job.directory.stop_request.exists()

    def _after_step(self, stop: bool, lr: float) -> None:
        """Log, validate and save where it is time to. Asked to stop, a run saves but leaves validation to whoever resumes it."""
        train, last = self.config.train, self._finished()
        if self.progress.step == self._first_step:
            self.metrics.write("stage", doing="training")
        validate = self._validation_due()
        save = validate if not train.checkpoint_every else self.progress.step % train.checkpoint_every == 0
        if last or stop or validate or self.progress.step % train.log_every == 0:
            left = self.pace.seconds_left(self.work_left())
            self.metrics.write("train", step=self.progress.step, epoch=self.epoch, lr=lr, seconds_left=left, **self.meter.take())
        if stop:
            raise StopAsked
        if validate:
            self._validate()
        if last or save:
            self._save()

    def _validation_due(self) -> bool:
        every, progress = self.config.train.validate_every * len(self.train_images), self.progress
        at_the_end = self._finished() and progress.validated_at != progress.position
        return at_the_end or (every > 0 and progress.position // every > progress.validated_at // every)

    def _validate(self) -> None:
        """On the whole set, or (StopAsked) not at all."""
        strategy = self.strategy
        with self._stage("validation"), closing(self.val_loader.eval_batches(self.config.train.global_batch, strategy.rows)) as batches:
            result = evaluate(strategy, [self.network], self._until_asked(batches), self.agreement).validation()
        self.bad_images.share()
        self.meter.forget()  # evaluation is no part of the steps that are measured
        self.progress.validation, self.progress.validated_at = result, self.progress.position
        self.schedule.validated(result.top1_error)
        self.metrics.write("val", step=self.progress.step, epoch=self.epoch, **result.as_dict())

    def _until_asked(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Batches of a validation, which may take longer than whoever asks for a stop will wait. Ranks have equally many."""
        for batch in batches:
            if self.agreement.sum(self._asked())[0]:
                raise StopAsked
            yield batch

    def _loader(self, images: ImageSet) -> Loader:
        return Loader(images, self.config.data, self.config.model.image_size, self.strategy.world.device, self.config.train.seed)

    @contextmanager
    def _stage(self, name: Literal["validation", "checkpoint"]) -> Iterator[None]:
        """Tell whoever follows the run that it does this now, and measure how long it takes."""
        self.metrics.write("stage", doing=name)
        with self.pace.measured(name):
            yield

    def _tell_bad(self, name: str) -> None:
        self.metrics.write("bad_image", step=self.progress.step, image=name)

    def _save(self) -> None:
        folder, keep = self.job.directory.checkpoints, self.config.train.keep_checkpoints
        with self._stage("checkpoint"):
            path = checkpoint.save(folder, self.strategy, self.network, self.optimizer, self._state(), keep)
        self.metrics.write("checkpoint", step=self.progress.step, path=path.name)

    def _state(self) -> TrainingState:
        validation = self.progress.validation
        return TrainingState(
            step=self.progress.step,
            position=self.progress.position,
            validated_at=self.progress.validated_at,
            optimizer=self.optimizer.scalars(),
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
        checkpoint.load_tensors(self.job.resume, self.strategy, self.network, self.optimizer)
        self.optimizer.load_scalars(state.optimizer)
        self.schedule.load(state.schedule)
        validation = Validation.from_dict(state.validation) if state.validation else None
        self.progress = Progress(state.step, state.position, state.validated_at, validation)


def summary(training: Training, status: str, wall_seconds: float) -> Mapping[str, Any]:
    """What a run came to. Every rank calls it; the keys are part of the contract with whoever reads summary.json."""
    config, progress, strategy = training.config, training.progress, training.strategy
    return {
        "status": status,
        "strategy": strategy.name,
        "mesh": strategy.mesh,
        "world_size": strategy.world.world_size,
        "device": strategy.world.device.type,
        "global_batch_size": config.train.global_batch,
        "steps": progress.step,
        "epoch": training.epoch,
        "images": progress.position,
        "wall_seconds": wall_seconds,
        "val": progress.validation.as_dict() if progress.validation else None,
        "bad_images": training.bad_images.known,
        "parameters": sum(layer.parameters for layer in strategy.layers),
        **training.meter.totals(),
        "validation_seconds": training.pace.mean("validation"),
        "checkpoint_seconds": training.pace.mean("checkpoint"),
    }
