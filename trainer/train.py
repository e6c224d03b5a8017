"""The training loop: one stage after another, one batch after another, and everything around it in its place."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, Protocol

import psutil
import torch

from engine.awake import Awake
from engine.errors import Code, PellucidError
from engine.version import version
from engine.wire_training import (
    CheckpointSaved,
    CommandTaken,
    Continued,
    ContinueRun,
    Event,
    Finished,
    ModelSaved,
    NonFinite,
    Paused,
    PauseRun,
    Predicted,
    PreviewWritten,
    Progress,
    RolledBack,
    RunStarted,
    SaveNow,
    StageConfig,
    StageStarted,
    Stopped,
    StopRun,
    TrainingConfig,
    Validated,
    ValidateNow,
    Warned,
)
from trainer.card_recipe import identify_files
from trainer.checkpoint import (
    State,
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
    seed_random_streams,
)
from trainer.config import stage_name
from trainer.data import gather_pictures, make_damage, make_source, make_validation
from trainer.devices import check_shares, make_compute, memory_mb
from trainer.export import ExportFacts, export_model
from trainer.generator import Generator, build_generator, describe_generator
from trainer.loader import Batch, Loader, choose_workers, is_loader_death
from trainer.processes import Processes
from trainer.rundir import RunFolder
from trainer.steps import PsnrStep, StepResult, build_step
from trainer.validate import NotANumber, Validator, is_better
from trainer.watchdog import Watchdog

Outcome = Literal["finished", "stopped"]
CONTROL_SECONDS = 0.25
PROGRESS_SECONDS = 1.0
PREDICT_AFTER = 10
"""Iterations after which the first prediction is made; the first three do not count."""
WARM_UP = 3
LOADER_DEATHS = 3
"""Loader processes that may die in one process's life before the run gives up."""


class Reporter(Protocol):
    """Where events go: the run folder's file for rank 0, nowhere for the others."""

    def __call__(self, event: Event) -> None: ...


@dataclass(slots=True)
class Wishes:
    """What was asked for from outside the loop: by signals (which set these fields) or by commands."""

    stop: str = ""
    """Reason to stop at the next step; empty: go on."""
    pause: bool = False
    save: bool = False
    validate: bool = False


class _Decision(IntEnum):
    GO_ON = 0
    STOP = 1
    PAUSE = 2
    SAVE = 3
    VALIDATE = 4
    ROLL_BACK = 5


@dataclass(slots=True)
class Place:
    """How far a run has come. All of it is in every checkpoint."""

    stage: int = 0
    iteration: int = 0
    """Of the whole run."""
    position: int = 0
    """Batches drawn: runs ahead of `iteration` after a roll-back, so that the same batches do not come again."""
    rollbacks: int = 0
    nonfinite: int = 0
    """In a row."""
    best: float | None = None
    """Best validation of this stage."""
    good: int | None = None
    """Iteration of this stage's last validation that found nothing amiss: a roll-back returns to there or before."""
    seconds: float = 0.0
    partner: str = ""
    """Hash of the weights that a GAN stage started from."""


@dataclass(slots=True)
class _Meter:
    """Sums between two Progress events."""

    since: float = field(default_factory=time.perf_counter)
    waited: float = 0.0
    steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    norm: float = 0.0

    def add(self, result: StepResult) -> None:
        self.steps += 1
        self.norm += result.gradient_norm
        for name, value in result.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + value


class Training:
    """A run at work in this process."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainingConfig,
        report: Reporter,
        wishes: Wishes,
        processes: Processes | None = None,
        close_in_workers: tuple[int, ...] = (),
        tell_device: Callable[[str], None] = lambda device: None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._report = report
        self._wishes = wishes
        self._processes = processes or Processes()
        self._close_in_workers = close_in_workers
        self._tell_device = tell_device
        self._awake = Awake("It trains a model.")
        self._scores: dict[str, float] = {}
        self._held: PsnrStep | None = None
        self._returned_to: int | None = None
        self.place = Place()

    def run(self) -> Outcome:
        """Train until the end, or until it is asked to stop. Begins at the newest checkpoint there is."""
        config, begun = self._config, time.perf_counter()
        self._compute = compute = make_compute(config, self._processes)
        check_shares(config, self._processes.count)
        device_name = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else "cpu"
        self._tell_device(device_name)
        facts = describe_generator(config.model)
        pictures = gather_pictures(config)
        state, problems = self._folder.load_latest()
        self._processes.wait()  # until all have read the same: the first one soon writes
        if state is not None:
            self.place = Place(**state["place"])
        else:
            seed_random_streams(config.seed)
        if self._processes.leads:
            self._folder.clear_up(self.place.iteration)
        workers = choose_workers(config.data.workers, compute.device.type)
        self._report(
            RunStarted(
                time=time.time(),
                pid=psutil.Process().pid,
                version=version(),
                resumed=state is not None,
                iteration=self.place.iteration,
                images=self._images(),
                iterations=config.iterations,
                device=device_name,
                precision="bf16" if compute.bf16 else "fp32",
                threads=torch.get_num_threads(),
                workers=workers,
                processes=self._processes.count,
                parameters=facts.parameters,
                pictures=len(pictures.train),
            )
        )
        for text in [*pictures.notices, *(f"{problem} An older one is used." for problem in problems)]:
            self._report(Warned(time=time.time(), text=text))
        # As they were when the run began: a checkpoint keeps it.
        files = state.get("files") if state is not None else None
        self._export_facts = ExportFacts(config, facts, files or identify_files(config))
        on_device = config.data.damage_on == "device" and config.data.source == "recipe"
        self._damage = make_damage(config) if on_device else None
        source = make_source(
            config,
            pictures,
            self._folder.path / f"pixels-{self._processes.rank}.cache",
            not on_device,
            self._processes.rank,
            self._processes.count,
        )
        if source.cache.misses_room:
            text = (
                "The disk is nearly full: pictures that find no room there in the run's cache are read anew each time."
            )
            self._report(Warned(time=time.time(), text=text))
        self._validator: Validator | None = None
        if self._processes.leads:
            examples = make_validation(config, pictures, lambda text: self._report(Warned(time=time.time(), text=text)))
            self._validator = Validator(config.validation, config.model.scale, facts.multiple, examples)
        self._source, self._workers = source, workers
        self._loader = self._open_loader()
        self._watchdog = Watchdog(config.safety)
        self._problems_told: set[str] = set()
        self._begun = begun - self.place.seconds
        try:
            with self._awake if self._processes.local_rank == 0 else nullcontext():
                outcome = self._stages_in_spite_of_loader_deaths(state)
        finally:
            self._loader.close()
            source.cache.remove()
        if outcome == "finished":
            self._report(Finished(time=time.time(), iteration=self.place.iteration, seconds=self._seconds()))
        else:
            self._report(Stopped(time=time.time(), iteration=self.place.iteration, reason=self._wishes.stop))
        return outcome

    def _open_loader(self) -> Loader:
        return Loader(
            self._source,
            self.place.position,
            self._workers,
            self._config.data.prefetch,
            pin_memory=self._compute.device.type == "cuda",
            close_in_workers=self._close_in_workers,
        )

    # ------------------------------------------------------------------------------------------------------- stages

    def _stages_in_spite_of_loader_deaths(self, state: State | None) -> Outcome:
        """A loader process that dies (killed for want of memory, say) may break off a step in the middle, so the last
        checkpoint is returned to; everything then comes again as it was."""
        deaths = 0
        while True:
            try:
                return self._stages(state)
            except RuntimeError as error:
                if not is_loader_death(error):
                    raise
                deaths += 1
                reason = f"A process that prepares batches has died: {str(error).splitlines()[0].strip()}"
                if deaths > LOADER_DEATHS or self._processes.count > 1:
                    raise PellucidError(
                        Code.INTERNAL,
                        reason,
                        "It was probably killed for want of memory: set data.cache_mb or data.workers lower.",
                    ) from error
                abandoned = self.place.iteration
                self._loader.close()
                state, _ = self._folder.load_latest()
                self.place = Place(**state["place"]) if state is not None else Place()
                self._loader = self._open_loader()
                factor = state["step"]["rate_factor"] if state is not None else 1.0
                self._report(
                    RolledBack(
                        time=time.time(),
                        iteration=self.place.iteration,
                        abandoned=abandoned,
                        learning_rate_factor=factor,
                        reason=reason,
                    )
                )

    def _stages(self, state: State | None) -> Outcome:
        config = self._config
        if state is None and config.model.start:
            self.place.partner = self._export_facts.files["model.start"]
        if self.place.stage < len(config.stages):
            # It gets no name here: the first stage's network must not outlive its stage.
            self._take_step(build_generator(config.model, config.seed))
            if state is not None:
                self._restore(state)
        while self.place.stage < len(config.stages):
            stage = config.stages[self.place.stage]
            first = self._first_iteration()
            self._report(
                StageStarted(
                    time=time.time(),
                    stage=self.place.stage,
                    name=stage_name(config, self.place.stage),
                    kind="psnr" if stage.gan is None else "gan",
                    iteration=first,
                    iterations=stage.iterations,
                )
            )
            if self._stage(stage) == "stopped":
                return "stopped"
            self._hand_over(stage)
        return "finished"

    def _take_step(self, generator: Generator) -> None:
        """Begin the place's stage with these weights, on a device that has got back what the step before took."""
        if self._held is not None:
            self._held.close()
            self._held = None
            gc.collect()
            if self._compute.device.type == "cuda":
                torch.cuda.empty_cache()
        stage = self._config.stages[self.place.stage]
        self._held = build_step(generator, stage, self._compute, self._config.data.crop)
        self._watchdog.reset()

    @property
    def _step(self) -> PsnrStep:
        assert self._held is not None
        return self._held

    def _first_iteration(self) -> int:
        """The whole run's iteration at which this stage began."""
        return sum(stage.iterations for stage in self._config.stages[: self.place.stage])

    def _stage(self, stage: StageConfig) -> Outcome:
        config, place = self._config, self.place
        meter, predicted_from = _Meter(), None
        next_control = 0.0
        if self._processes.agree(int(not self._folder.checkpoint_files())):
            # Something to return to when the very first steps go wrong.
            self._save()
        saved_at = place.iteration
        while self._step.iteration < stage.iterations:
            now = time.perf_counter()
            if now >= next_control:
                next_control = now + CONTROL_SECONDS
                self._take_commands()
            match self._processes.agree(self._decide()):
                case _Decision.STOP:
                    if saved_at != place.iteration:
                        self._save()
                    self._export("last")
                    return "stopped"
                case _Decision.PAUSE:
                    if saved_at != place.iteration:
                        self._save()
                        saved_at = place.iteration
                    self._wait_while_paused()
                    meter, predicted_from = _Meter(), None
                    continue
                case _Decision.SAVE:
                    self._save()
                    self._export("last")
                    self._wishes.save, saved_at = False, place.iteration
                case _Decision.VALIDATE:
                    self._wishes.validate = False
                    self._validate(commanded=True)

            batch = self._loader.next()
            target, damaged = self._pictures(batch)
            result = self._step.run(target, damaged)
            while self._step.notices:
                self._report(Warned(time=time.time(), text=self._step.notices.pop()))
            place.iteration += 1
            place.position += 1
            meter.add(result)
            meter.waited += self._loader.waited
            self._loader.waited = 0.0

            trouble = self._look_at(result)
            validates = trouble is None and self._is_due(config.validation.every, stage)
            if validates:
                trouble = self._validate()
            if trouble is not None:
                self._roll_back(trouble)
                place = self.place
                meter, predicted_from, saved_at = _Meter(), None, place.iteration
                continue
            ends = self._step.iteration == stage.iterations  # handing over saves
            # What has just been validated is saved as well: it may be the place to return to.
            due = validates or place.iteration % config.save.every == 0
            if place.nonfinite == 0 and due and not ends:
                self._save()
                saved_at = place.iteration
            if self._wants_progress(meter):
                self._tell_progress(meter, result, stage)
                meter = _Meter()
            done = self._step.iteration
            if predicted_from is None and done >= WARM_UP:
                predicted_from = (done, time.perf_counter())
            elif predicted_from is not None and done == predicted_from[0] + PREDICT_AFTER - WARM_UP:
                self._predict((time.perf_counter() - predicted_from[1]) / (PREDICT_AFTER - WARM_UP))
        if meter.steps:
            self._tell_progress(meter, result, stage)
        return "finished"

    def _hand_over(self, stage: StageConfig) -> None:
        """End a stage: export it, and begin the next one with its weights."""
        config, place = self._config, self.place
        hashed = self._export("stage")
        weights = {name: value.detach().cpu().clone() for name, value in self._step.best_network.state_dict().items()}
        best = self._folder.best_checkpoint(place.stage)
        if stage.hand_over == "best" and best.is_file():
            try:
                weights = load_checkpoint(best)["generator"]
            except PellucidError as error:
                if error.code != Code.MODEL_CORRUPT:
                    raise
                text = f"{error.message} The next stage goes on from the last weights instead."
                self._report(Warned(time=time.time(), text=text))
            hashed = self._export_hash_of_best(weights)
        generator = Generator(describe_generator(config.model))
        generator.load_state_dict(weights)
        if stage.gan is None:
            place.partner = hashed
        place.stage += 1
        place.best = None
        place.good = None
        if place.stage < len(config.stages):
            # The next stage's first checkpoint, so that a crash in its first interval does not repeat this one.
            self._take_step(generator)
        self._save()

    def _export_hash_of_best(self, weights: State) -> str:
        generator = Generator(self._export_facts.generator)
        generator.load_state_dict(weights)
        return self._export_facts.hash_of(generator)

    # -------------------------------------------------------------------------------------------------------- steps

    def _pictures(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        for problem in batch.problems:
            if problem not in self._problems_told:
                self._problems_told.add(problem)
                self._report(Warned(time=time.time(), text=f"A picture is passed over: {problem}"))
        if batch.plan is None:
            return batch.target, batch.damaged
        assert self._damage is not None
        return self._damage.on_device(batch.target.to(self._compute.device, non_blocking=True), batch.plan)

    def _look_at(self, result: StepResult) -> str | None:
        """A reason to roll back, seen in this step."""
        if result.finite:
            self.place.nonfinite = 0
            return self._watchdog.see_step(result.losses, result.colour_shift)
        self.place.nonfinite += 1
        self._report(NonFinite(time=time.time(), iteration=self.place.iteration, in_a_row=self.place.nonfinite))
        if self.place.nonfinite < self._config.safety.nonfinite_limit:
            return None
        return f"The loss was not a number in {self.place.nonfinite} steps in a row."

    def _roll_back(self, reason: str) -> None:
        """Return to the last good checkpoint with half the learning rate, or give up in a sentence."""
        place, abandoned = self.place, self.place.iteration
        rollbacks = place.rollbacks + 1
        state = self._refuge()
        self._processes.wait()  # until all have read the same: the first one writes it anew
        if state is None or rollbacks > self._config.safety.rollbacks:
            kept = f"The last good checkpoint is of iteration {state['place']['iteration']}." if state else ""
            raise PellucidError(
                Code.BAD_OUTPUT,
                f"{reason} {kept}".strip(),
                "Lower the learning rate, or the weight of the GAN, and resume from a model of an earlier stage.",
                iteration=abandoned,
            )
        self.place = Place(**state["place"])
        generator = build_generator(self._config.model, self._config.seed)
        # What was found wrong must not become the measure of what comes next.
        watched = self._watchdog.after_a_roll_back()
        self._take_step(generator)
        self._restore(state)
        self._watchdog.load_state_dict(watched)
        self._step.rate_factor *= 0.5
        self.place.rollbacks, self.place.position, self.place.best = rollbacks, place.position, place.best
        self._report(
            RolledBack(
                time=time.time(),
                iteration=self.place.iteration,
                abandoned=abandoned,
                learning_rate_factor=self._step.rate_factor,
                reason=reason,
            )
        )
        self._returned_to = self.place.iteration
        if self._processes.leads:
            self._folder.drop_later(self.place.iteration)
        self._save()

    def _refuge(self) -> State | None:
        """The checkpoint to return to. One that was saved while all losses were numbers will do where they are not any
        more, unless that has led there again; what crept in slowly may lie in every checkpoint since the last good
        validation."""
        newest = next((int(path.stem) for path in self._folder.checkpoint_files()), None)
        numberless = self.place.nonfinite >= self._config.safety.nonfinite_limit
        trusted = numberless and newest != self._returned_to
        good = -1 if self.place.good is None or trusted else self.place.good
        good = self._processes.agree(good)
        try:
            state, _ = self._folder.load_latest(None if good < 0 else good)
        except PellucidError as error:
            if good < 0 or error.code != Code.MODEL_CORRUPT:
                raise
            state = None
        if state is None and good >= 0:
            state, _ = self._folder.load_latest()
        return state

    def _is_due(self, every: int, stage: StageConfig) -> bool:
        ends = self._step.iteration == stage.iterations
        return ends or bool(every and self.place.iteration % every == 0)

    def _validate(self, commanded: bool = False) -> str | None:
        """Score, keep the best, write previews; a reason to roll back if it went badly."""
        trouble: str | None = None
        if self._processes.leads and self._validator is not None and self._validator.pictures:
            trouble = self._validate_here()
        if self._processes.agree(_Decision.ROLL_BACK if trouble else _Decision.GO_ON) == _Decision.ROLL_BACK:
            return trouble or "Validation went badly."
        return None

    def _validate_here(self) -> str | None:
        config, place, validator = self._config.validation, self.place, self._validator
        assert validator is not None
        network = self._step.best_network
        try:
            scores = validator.score(network, self._compute.device, self._folder.previews, place.iteration)
        except NotANumber:
            return "The network gives samples that are not numbers."
        value = scores.metrics[config.select]
        best = is_better(config.select, value, place.best)
        self._report(
            Validated(
                time=time.time(),
                iteration=place.iteration,
                images=self._images(),
                pictures=validator.pictures,
                protocol=config.protocol,
                metrics=scores.metrics,
                baseline=scores.baseline,
                best=best,
            )
        )
        for name, path in validator.preview_files(self._folder.previews, place.iteration):
            self._report(
                PreviewWritten(
                    time=time.time(),
                    iteration=place.iteration,
                    picture=name,
                    path=path.relative_to(self._folder.path).as_posix(),
                    panels=["damaged", "bicubic", "output", "target"],
                )
            )
        self._scores = scores.metrics
        trouble = self._watchdog.see_validation(scores.metrics.get("psnr"))
        standstill = self._watchdog.see_standstill(scores.metrics.get("psnr"), scores.baseline.get("psnr"))
        if standstill is not None:
            self._report(Warned(time=time.time(), text=standstill))
        if trouble is None and self._watchdog.is_calm(scores.metrics.get("psnr")):
            place.good = place.iteration
        if best and trouble is None:
            place.best = value
            save_checkpoint(
                self._folder.best_checkpoint(place.stage),
                {"generator": network.state_dict(), "iteration": place.iteration, "score": value},
            )
            self._export("best")
        return trouble

    # ------------------------------------------------------------------------------------------- saving, controlling

    def _state(self) -> State:
        self.place.seconds = self._seconds()
        place: dict[str, Any] = {name: getattr(self.place, name) for name in Place.__slots__}
        return {
            "place": place,
            "step": self._step.state_dict(),
            "watchdog": self._watchdog.state_dict(),
            "random": random_state(),
            "files": dict(self._export_facts.files),
        }

    def _restore(self, state: State) -> None:
        self._step.load_state_dict(state["step"])
        self._watchdog.load_state_dict(state["watchdog"])
        restore_random_state(state["random"])

    def _save(self) -> None:
        if self._processes.leads:
            begun = time.perf_counter()
            state = self._state()
            path = self._folder.save(self.place.iteration, state, self._config.save.keep, self.place.good)
            self._report(
                CheckpointSaved(
                    time=time.time(),
                    iteration=self.place.iteration,
                    path=path.relative_to(self._folder.path).as_posix(),
                    seconds=time.perf_counter() - begun,
                )
            )
        self._processes.wait()

    def _export(self, kind: Literal["best", "last", "stage"]) -> str:
        """Write the model; returns the hash of its weights (the same in every process)."""
        network = self._step.best_network
        if self._processes.leads:
            name = stage_name(self._config, self.place.stage) if len(self._config.stages) > 1 else ""
            path = export_model(
                self._export_facts,
                network,
                self._folder.models,
                number=self.place.stage,
                stage=name,
                best=kind == "best",
                gan=self._config.stages[self.place.stage].gan is not None,
                partner=self.place.partner,
                scores=self._scores,
            )
            self._report(
                ModelSaved(
                    time=time.time(),
                    iteration=self.place.iteration,
                    path=path.relative_to(self._folder.path).as_posix(),
                    kind=kind,
                    stage=self.place.stage,
                )
            )
        return self._export_facts.hash_of(network)

    def _take_commands(self) -> None:
        if not self._processes.leads:
            return
        for number, command in self._folder.take_commands():
            name = type(command).__name__ if command is not None else "not understood"
            self._report(CommandTaken(time=time.time(), number=number, command=name))
            match command:
                case PauseRun():
                    self._wishes.pause = True
                case ContinueRun():
                    self._wishes.pause = False
                case StopRun():
                    self._wishes.stop = "It was asked to stop."
                case SaveNow():
                    self._wishes.save = True
                case ValidateNow():
                    self._wishes.validate = True

    def _decide(self) -> _Decision:
        wishes = self._wishes
        if wishes.stop:
            return _Decision.STOP
        if wishes.pause:
            return _Decision.PAUSE
        if wishes.save:
            return _Decision.SAVE
        return _Decision.VALIDATE if wishes.validate else _Decision.GO_ON

    def _wait_while_paused(self) -> None:
        began = time.perf_counter()
        self._report(Paused(time=time.time(), iteration=self.place.iteration))
        with self._awake.let_go():
            while True:
                self._take_commands()
                waits = self._wishes.pause and not self._wishes.stop
                if self._processes.agree(int(waits)) == 0:
                    break
                time.sleep(CONTROL_SECONDS)
        self._wishes.pause = False
        self._begun += time.perf_counter() - began
        self._report(Continued(time=time.time(), iteration=self.place.iteration))

    # ------------------------------------------------------------------------------------------------------- telling

    def _images(self) -> int:
        return self.place.iteration * self._config.data.batch

    def _seconds(self) -> float:
        return time.perf_counter() - self._begun

    def _wants_progress(self, meter: _Meter) -> bool:
        every = self._config.speed.log_every
        if every:
            return self.place.iteration % every == 0
        return time.perf_counter() - meter.since >= PROGRESS_SECONDS

    def _tell_progress(self, meter: _Meter, result: StepResult, stage: StageConfig) -> None:
        seconds = max(time.perf_counter() - meter.since, 1e-9)
        rate = meter.steps / seconds
        finite = {name: value / meter.steps for name, value in meter.losses.items() if math.isfinite(value)}
        self._report(
            Progress(
                time=time.time(),
                stage=self.place.stage,
                iteration=self.place.iteration,
                images=self._images(),
                losses=finite,
                learning_rate=result.learning_rate,
                gradient_norm=meter.norm / meter.steps if math.isfinite(meter.norm) else 0.0,
                iterations_per_second=rate,
                loader_wait=min(1.0, meter.waited / seconds),
                memory_mb=memory_mb(self._compute.device),
                seconds_left=(self._config.iterations - self.place.iteration) / rate,
            )
        )

    def _predict(self, seconds: float) -> None:
        self._report(
            Predicted(
                time=time.time(),
                seconds_per_iteration=seconds,
                seconds_left=seconds * (self._config.iterations - self.place.iteration),
                memory_mb=memory_mb(self._compute.device),
            )
        )
