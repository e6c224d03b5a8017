"""`pellucid models` and `pellucid blend`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from engine.cli.frame import DONE, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.models import library
from engine.models.blend import blend
from engine.models.files import check_name, weights_hash, write_model
from engine.models.foreign import name_from
from engine.models.library import Entry
from engine.models.model import Model
from engine.models.presets import DISCRIMINATORS, PRESETS


def add_models_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("models", help="list, import and look after models")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    actions.add_parser("list", help="every model there is").set_defaults(run=run_list)

    show = actions.add_parser("show", help="the card of a model")
    show.add_argument("model", help="name in the library, or a file")
    show.set_defaults(run=run_show)

    bring = actions.add_parser(
        "import", help="copy models into the library: .safetensors, .pth, .ckpt, ncnn .param/.bin"
    )
    bring.add_argument("files", nargs="+", type=Path, metavar="FILE")
    bring.add_argument("--name", help="its name in the library; one file only")
    bring.add_argument("--replace", action="store_true", help="take the place of a model of yours of that name")
    bring.set_defaults(run=run_import)

    rename = actions.add_parser("rename", help="give a model another name")
    rename.add_argument("model")
    rename.add_argument("new_name")
    rename.set_defaults(run=run_rename)

    remove = actions.add_parser("remove", help="delete a model from the library")
    remove.add_argument("model")
    remove.set_defaults(run=run_remove)

    actions.add_parser("archs", help="the networks that can be trained, with their sizes").set_defaults(run=run_archs)


def add_blend_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("blend", help="mix two models of one network into a third")
    parser.add_argument("psnr", metavar="A", help="the faithful model: a name or a file")
    parser.add_argument("gan", metavar="B", help="the vivid model: a name or a file")
    parser.add_argument("--alpha", type=float, required=True, help="0 is A, 1 is B; beyond is allowed and marked")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="a .safetensors file")
    parser.set_defaults(run=run_blend)


def run_list(_arguments: argparse.Namespace, out: Output) -> int:
    entries = library.list_models()
    for entry in entries:
        out.line(_record(entry))
    rows = [
        (
            entry.card.name,
            entry.card.architecture,
            f"x{entry.card.scale}" if entry.path else "any",
            f"{entry.card.parameters:,}" if entry.card.parameters else "",
            "with the program" if entry.bundled else "yours",
        )
        for entry in entries
    ]
    out.table(rows, ("Model", "Network", "Scale", "Parameters", "From"))
    damaged = library.list_unreadable()
    for file in damaged:
        out.warn(f"pellucid: {file.problem}")
    out.line(
        {
            "models": len(entries),
            "library": str(library.library_folder()),
            "default": library.default_entry().card.name,
            "unreadable": [{"path": str(file.path), "problem": file.problem} for file in damaged],
        }
    )
    out.say(f"\nThe default is {library.default_entry().card.name}. Yours are in {library.library_folder()}.")
    return DONE


def run_show(arguments: argparse.Namespace, out: Output) -> int:
    model = library.find_model(arguments.model)
    record = _described(model)
    out.line(record)
    facts = [(key, value) for key, value in record.items() if key != "scores" and value not in ("", [], None)]
    out.table([row for key, value in facts for row in _rows(key, value)], ("Card", ""))
    if model.card.scores:
        out.say("")
        alphas = ["" if score.alpha is None else f"{score.alpha:g}" for score in model.card.scores]
        out.table(
            [
                (score.metric, score.protocol, alpha, f"{score.value:.4f}", score.dataset)
                for score, alpha in zip(model.card.scores, alphas, strict=True)
            ],
            ("Score", "protocol", "alpha", "value", "measured on"),
        )
    return DONE


def run_import(arguments: argparse.Namespace, out: Output) -> int:
    if arguments.name and len(arguments.files) > 1:
        raise PellucidError(
            Code.USAGE, "--name names one model, but several files were given.", "Import them one by one."
        )
    imported: list[str] = []
    for path in arguments.files:
        entry = library.import_model(path, arguments.name, replace=arguments.replace)
        imported.append(entry.card.name)
        out.line(_record(entry))
        network = "a network run by torch" if entry.card.architecture == "foreign" else entry.card.architecture
        out.say(f"{path.name} is now the model {entry.card.name}: {network}, x{entry.card.scale}.")
    out.line({"imported": imported})
    return DONE


def run_rename(arguments: argparse.Namespace, out: Output) -> int:
    entry = library.rename(arguments.model, arguments.new_name)
    out.line({"renamed": arguments.model, **_record(entry)})
    out.say(f"{arguments.model} is now called {entry.card.name}.")
    return DONE


def run_remove(arguments: argparse.Namespace, out: Output) -> int:
    entry = library.remove(arguments.model)
    out.line({"removed": entry.card.name, "path": str(entry.path)})
    out.say(f"{entry.card.name} was removed.")
    return DONE


def run_archs(_arguments: argparse.Namespace, out: Output) -> int:
    sizes = [(preset.id, preset.parameters, preset.scale) for preset in PRESETS]
    # A discriminator judges a picture at its own size.
    sizes += [(judge.id, judge.parameters, 1) for judge in DISCRIMINATORS]
    for name, parameters, scale in sizes:
        out.line({"id": name, "parameters": parameters, "scale": scale})
    out.table(
        [(name, f"{parameters:,}", f"x{scale}") for name, parameters, scale in sizes],
        ("Network", "Parameters", "Scale"),
    )
    return DONE


def run_blend(arguments: argparse.Namespace, out: Output) -> int:
    target: Path = arguments.output
    if target.suffix != ".safetensors":
        raise PellucidError(
            Code.USAGE, f"{target} must end in .safetensors.", f"Try {target.with_suffix('.safetensors')}."
        )
    name = name_from(target)
    check_name(name)
    psnr, gan = library.find_model(arguments.psnr), library.find_model(arguments.gan)
    for parent in (psnr, gan):
        if parent.path is not None and target.exists() and parent.path.samefile(target):
            raise PellucidError(Code.USAGE, f"{target} is one of the two models.", "Write the blend to another file.")
    mixed = blend(psnr, gan, arguments.alpha)
    mixed = Model(msgspec.structs.replace(mixed.card, name=name), mixed.weights)
    write_model(mixed, target)
    out.line({"output": str(target), **_described(mixed)})
    out.say(f"{target}: {mixed.card.description}")
    return DONE


def _record(entry: Entry) -> dict[str, Any]:
    """What programs learn about a model in a list."""
    card = entry.card
    return {
        "name": card.name,
        "architecture": card.architecture,
        "scale": card.scale,
        "parameters": card.parameters,
        "role": card.role,
        "licence": card.licence,
        "bundled": entry.bundled,
        "path": str(entry.path) if entry.path else None,
        "weights_hash": entry.weights_hash,
        "description": card.description,
        "attribution": card.attribution,
        "partner": card.partner,
        "parents": card.parents,
        "alpha": card.alpha,
        "scores": msgspec.to_builtins(card.scores),
    }


def _described(model: Model) -> dict[str, Any]:
    """The whole card, and what identifies the weights."""
    described: dict[str, Any] = msgspec.to_builtins(model.card)
    described["path"] = str(model.path) if model.path else None
    described["weights_hash"] = weights_hash(model.weights) if model.weights else ""
    return described


def _rows(key: str, value: object) -> list[tuple[str, str]]:
    """A fact of the card; a list of sentences gets a line each."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [(key if number == 0 else "", item) for number, item in enumerate(value)]
    return [(key, _in_words(value))]


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_in_words(item) for item in value)
    return str(value)
