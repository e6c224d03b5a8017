"""What the native front raises: nothing of ours is imported here, so these stand on Python's own exceptions."""

from __future__ import annotations


class KernelError(RuntimeError):
    """A native call was refused or failed. `sample` and `operation` say where, -1 where that does not apply; `reason`
    is the message without that."""

    def __init__(self, message: str, *, sample: int = -1, operation: int = -1, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message
        self.sample = sample
        self.operation = operation


class KernelInputError(KernelError, ValueError):
    """The pictures, the plan or an option cannot be what the caller meant."""


class KernelsMissingError(KernelError):
    """The native library is not part of this installation."""


class NoDeviceError(KernelError):
    """There is no NVIDIA GPU that the CUDA library can use."""


class KernelMemoryError(KernelError, MemoryError):
    """There is not enough memory for a picture or a plan."""
