"""The one exception users ever see: a code for programs, a sentence for people, a hint for what to do next."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What went wrong, stable across releases: scripts and the app branch on it, people never see it alone."""

    USAGE = "usage"
    FILE_MISSING = "file-missing"
    FILE_UNREADABLE = "file-unreadable"
    FILE_UNWRITABLE = "file-unwritable"
    DISK_FULL = "disk-full"
    IMAGE_UNSUPPORTED = "image-unsupported"
    IMAGE_CORRUPT = "image-corrupt"
    IMAGE_TOO_LARGE = "image-too-large"
    MODEL_MISSING = "model-missing"
    MODEL_CORRUPT = "model-corrupt"
    MODEL_UNSUPPORTED = "model-unsupported"
    MODEL_UNSAFE = "model-unsafe"
    MODELS_DIFFER = "models-differ"
    RANGE_MISMATCH = "range-mismatch"
    BACKEND_UNAVAILABLE = "backend-unavailable"
    OUT_OF_MEMORY = "out-of-memory"
    BAD_OUTPUT = "bad-output"
    CONFIG = "config"
    PROTOCOL = "protocol"
    INTERNAL = "internal"


class PellucidError(Exception):
    """An expected failure.

    `message` is one sentence that names the file, model, key or value; `hint` is one sentence that says what to do;
    `context` holds the same facts for programs.
    """

    def __init__(self, code: Code, message: str, hint: str = "", **context: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.context = context

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class OutOfMemory(PellucidError):
    """A backend ran out of memory: known by class, so that the tiler can plan the failed tile again, smaller."""

    def __init__(self, message: str, hint: str = "", **context: object) -> None:
        super().__init__(Code.OUT_OF_MEMORY, message, hint, **context)


class DeviceLost(PellucidError):
    """A GPU does nothing any more: known by class, so that something else can go on in its place."""

    def __init__(self, message: str, hint: str = "", **context: object) -> None:
        super().__init__(Code.BACKEND_UNAVAILABLE, message, hint, **context)


class Cancelled(Exception):
    """The user asked to stop. Not a failure: nothing is reported but the fact."""
