# SPDX-License-Identifier: Apache-2.0
"""The newest messages of a topic, and which of them counts at a step."""
from __future__ import annotations

import threading
from collections import deque
from typing import Any, NamedTuple, Optional

from .contract import Stream
from .messages import stamp_of

_KEPT = 32  # messages of a topic: more than lie between a step and the newest


class Sample(NamedTuple):
    """time: seconds, of the stream's timeline."""

    time: float
    message: Any


class Samples:
    """Messages of one stream. put() and at() may be called from several threads."""

    def __init__(self, stream: Stream, stale_s: float) -> None:
        """stale_s: how old a message may be that is held."""
        self.stream = stream
        self._stale_s = stale_s
        self._kept: deque[Sample] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._step_before = float("-inf")

    def put(self, message: Any, now: float) -> None:
        """now: when it came, seconds of the node's clock; a message without a header has only that. Clocks that
        jump back (a simulation that begins anew) begin anew; else messages are kept in the order of their times."""
        time = stamp_of(message) if self.stream.timeline == "header" else now
        if time != time:
            time = now
        with self._lock:
            if self._kept and time < self._kept[-1].time - 1:
                self._kept.clear()
                self._step_before = float("-inf")
            late = []
            while self._kept and self._kept[-1].time > time:
                late.append(self._kept.pop())
            self._kept.append(Sample(time, message))
            self._kept.extend(reversed(late))

    def clear(self) -> None:
        """An episode begins: what came before is of the one before."""
        with self._lock:
            self._kept.clear()
            self._step_before = float("-inf")

    def at(self, now: float) -> Optional[Sample]:
        """The message that counts at a step at `now`; None: there is none that may. `drop` gives each one once."""
        with self._lock:
            newest = next((s for s in reversed(self._kept) if s.time <= now), None)
            since, self._step_before = self._step_before, now
        if newest is None:
            return None
        if self.stream.align == "drop":
            return newest if newest.time > since else None
        oldest = self.stream.tolerance_s if self.stream.align == "asof" else self._stale_s
        return newest if now - newest.time <= oldest else None

    def ahead(self, now: float) -> float:
        """Seconds that the newest message's time lies after now; of two clocks that differ."""
        with self._lock:
            return self._kept[-1].time - now if self._kept else 0.0
