"""The page about training says what the code does: every key with its default, every preset, every command."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from engine import wire_training as wire
from trainer.cli import main
from trainer.config import preset_names

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "At the top": wire.TrainingConfig,
    "[model]": wire.ModelConfig,
    "[data]": wire.DataConfig,
    "[data.augment]": wire.AugmentConfig,
    "[[stages]]": wire.StageConfig,
    "[[stages.losses]]": wire.LossConfig,
    "[stages.optimizer]": wire.OptimizerConfig,
    "[stages.schedule]": wire.ScheduleConfig,
    "[stages.gan]": wire.GanConfig,
    "[stages.gan.discriminator]": wire.DiscriminatorConfig,
    "[validation]": wire.ValidationConfig,
    "[save]": wire.SaveConfig,
    "[safety]": wire.SafetyConfig,
    "[speed]": wire.SpeedConfig,
}


def sections() -> dict[str, str]:
    parts = re.split(r"^### (.*)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {title.split(" and ")[0].strip("`"): text for title, text in zip(parts[::2], parts[1::2], strict=True)}


def values(struct: type[msgspec.Struct]) -> dict[str, object]:
    """Name -> default of every key that is a value, not a table."""
    found = {}
    for field in msgspec.structs.fields(struct):
        factory = field.default_factory
        default = field.default if factory is msgspec.NODEFAULT else factory()
        plain = msgspec.to_builtins(default)
        table = isinstance(default, msgspec.Struct) or (
            isinstance(plain, list) and plain and isinstance(plain[0], dict)
        )
        if default is not None and not table:
            found[field.name] = plain
    return found


def test_every_section_is_there() -> None:
    assert list(sections()) == list(SECTIONS)


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_is_told_with_its_default(title: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.+) \|$", sections()[title], re.MULTILINE)
    told = {key: tomllib.loads(f"value = {default}")["value"] for key, default, _ in rows}
    expected = values(SECTIONS[title])
    assert told == {key: list(value) if isinstance(value, tuple) else value for key, value in expected.items()}


def test_every_preset_is_named() -> None:
    text = PAGE.read_text("utf-8")
    missing = [name for name in preset_names() if f"`{name}`" not in text and not re.match(r"s\d", name)]
    assert not missing


def test_every_option_in_it_exists(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the page is one, with options that it has."""
    lines = re.findall(
        r"^    pellucid ((?:train|runs|watch|dataset) .*?)(?:  +#.*)?$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert len(lines) > 15
    for line in lines:
        words = line.split()
        command = words[:2] if words[0] in ("runs", "dataset") else words[:1]
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        help_text = capsys.readouterr().out
        for word in words:
            if word.startswith("-"):
                assert re.search(rf"(^|[\s,\[]){re.escape(word)}\b", help_text), line
