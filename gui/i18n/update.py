"""`python -m gui.i18n.update`: bring the .ts files up to date with the sources, and compile them.

Qt's own extractor passes over our `_tr` functions; this one reads the syntax tree, so that a test can ask it as well.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path(__file__).parent
SOURCES = FOLDER.parent
LANGUAGES = ("de", "zh_CN")

Message = tuple[str, str]
"""Context and source text."""


def extract() -> list[Message]:
    """Every text that is handed to tr() or translate() below gui/, once, in order of contexts and files."""
    found: dict[Message, None] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        found.update(dict.fromkeys(_of_file(ast.parse(path.read_text("utf-8")))))
    return sorted(found, key=lambda message: message[0])


def read(language: str) -> dict[Message, str]:
    """What is translated; an unfinished text is empty."""
    path = ts_file(language)
    if not path.exists():
        return {}
    made: dict[Message, str] = {}
    for context in ElementTree.parse(path).getroot().iter("context"):
        for message in context.iter("message"):
            translation = message.find("translation")
            unfinished = translation is None or translation.get("type") is not None
            text = "" if unfinished or translation is None else translation.text or ""
            made[context.findtext("name", ""), message.findtext("source", "")] = text
    return made


def write(language: str, translations: dict[Message, str]) -> None:
    """All texts of the sources; those without a translation are marked as unfinished."""
    root = ElementTree.Element("TS", version="2.1", language=language, sourcelanguage="en")
    contexts: dict[str, ElementTree.Element] = {}
    for context, source in extract():
        if context not in contexts:
            contexts[context] = ElementTree.SubElement(root, "context")
            ElementTree.SubElement(contexts[context], "name").text = context
        message = ElementTree.SubElement(contexts[context], "message")
        ElementTree.SubElement(message, "source").text = source
        text = translations.get((context, source), "")
        translation = ElementTree.SubElement(message, "translation", {} if text else {"type": "unfinished"})
        translation.text = text
    ElementTree.indent(root, "    ")
    data = ElementTree.tostring(root, encoding="unicode")
    ts_file(language).write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{data}\n', "utf-8")


def compile_file(language: str, target: Path) -> None:
    """Raises CalledProcessError when lrelease, which comes with Qt for Python, refuses the file."""
    program = shutil.which("pyside6-lrelease", path=str(Path(sys.executable).parent)) or "pyside6-lrelease"
    subprocess.run([program, "-silent", str(ts_file(language)), "-qm", str(target)], check=True)


def ts_file(language: str) -> Path:
    return FOLDER / f"pellucid_{language}.ts"


def qm_file(language: str) -> Path:
    return FOLDER / f"pellucid_{language}.qm"


def main() -> int:
    """Exit code 1 while a text is untranslated."""
    unfinished = 0
    for language in LANGUAGES:
        write(language, read(language))
        compile_file(language, qm_file(language))
        missing = [source for (_context, source), text in read(language).items() if not text]
        unfinished += len(missing)
        for source in missing:
            print(f"{language}: {source}")
    return 1 if unfinished else 0


def _of_file(tree: ast.Module) -> Iterator[Message]:
    """`self.tr` speaks in the name of its class, `_tr` in the name that its own translate() gives."""
    own = next(
        (
            str(node.args[0].value)
            for function in tree.body
            if isinstance(function, ast.FunctionDef) and function.name == "_tr"
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        ),
        "",
    )
    yield from _of_node(tree, "", own)


def _of_node(node: ast.AST, context: str, own: str) -> Iterator[Message]:
    for child in ast.iter_child_nodes(node):
        yield from _of_node(child, child.name if isinstance(child, ast.ClassDef) else context, own)
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    words = [str(word.value) for word in node.args if isinstance(word, ast.Constant)]
    if name == "tr" and words:
        yield context, words[0]
    elif name == "_tr" and words:
        yield own, words[0]
    elif name == "translate" and len(words) == 2:
        yield words[0], words[1]


if __name__ == "__main__":
    sys.exit(main())
