# SPDX-License-Identifier: Apache-2.0
"""What the library refuses, as exceptions. Their text is the library's own line."""
from __future__ import annotations


class TactError(Exception):
    """What the library says, in one line. status: the tact_status of include/tact.h."""

    status = 0


class ArgumentError(TactError, ValueError):
    """The call itself: a setting that cannot be."""

    status = 1


class PolicyError(TactError):
    """The checkpoint is missing, damaged, or not for this version."""

    status = 2


class DeviceError(TactError):
    """The device is not there, or failed."""

    status = 3


class ObservationError(TactError, ValueError):
    """A missing camera, a wrong size, a value that is not finite."""

    status = 4


class NothingSeenError(TactError):
    """An action is asked for before the first observation."""

    status = 5


class PredictionError(TactError):
    """The policy's output is not finite."""

    status = 6


class OutOfMemoryError(TactError, MemoryError):
    """The machine, or the device, has too little memory."""

    status = 7


_BY_STATUS = {e.status: e for e in TactError.__subclasses__()}


def error_of(status: int, text: str) -> TactError:
    """The exception that stands for a tact_status."""
    return _BY_STATUS.get(status, TactError)(text)
