"""What a training leaves for use: an ordinary model file with its card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.models.card import Card, Score
from engine.models.files import weights_hash, write_model
from engine.models.model import Model
from engine.wire_training import TrainingConfig
from trainer.card_recipe import recipe_hash
from trainer.generator import Generator, GeneratorFacts


@dataclass(frozen=True, slots=True)
class ExportFacts:
    config: TrainingConfig
    generator: GeneratorFacts
    files: Mapping[str, str]
    """Identities of the files that make the weights, as `identify_files` gives them."""

    def hash_of(self, network: Generator) -> str:
        """Identity of the weights, as the card of a partner names them."""
        return weights_hash(_arrays(network))


def export_model(
    facts: ExportFacts,
    network: Generator,
    folder: Path,
    *,
    number: int,
    stage: str,
    best: bool,
    gan: bool,
    partner: str,
    scores: Mapping[str, float],
) -> Path:
    """Write NAME[-STAGE][-best].safetensors, a model of the stage with this number. `scores`: the last validation's."""
    config, generator = facts.config, facts.generator
    name = "-".join(
        part for part in (config.model.name or file_name(config.name), stage, "best" if best else "") if part
    )
    input_range, output_range = generator.architecture.ranges(generator.args)
    data_set = ", ".join(Path(folder).name for folder in config.validation.folders) or "held out"
    protocol = config.validation.protocol
    card = Card(
        name=name,
        architecture=generator.architecture.id,
        arguments=generator.architecture.write_arguments(generator.args),
        scale=config.model.scale,
        input_range=input_range,
        output_range=output_range,
        parameters=generator.parameters,
        bad_precisions=[] if generator.architecture.fp16_safe else ["fp16"],
        licence=config.model.licence,
        attribution=config.model.attribution,
        recipe=recipe_hash(config, facts.files, number, best),
        description=config.description,
        role="gan" if gan else "psnr",
        partner=partner if gan else "",
        scores=[
            Score(metric=metric, dataset=data_set, value=value, protocol="" if metric == "st-lpips" else protocol)
            for metric, value in scores.items()
        ],
    )
    path = folder / f"{name}.safetensors"
    write_model(Model(card, _arrays(network)), path, config.save.precision)
    return path


def file_name(name: str) -> str:
    """The run's name as a model's: no character that a file system minds."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "model"


def _arrays(network: Generator) -> dict[str, npt.NDArray[np.float32]]:
    return {
        name: value.detach().cpu().contiguous().numpy().astype(np.float32)
        for name, value in network.network.state_dict().items()
    }
