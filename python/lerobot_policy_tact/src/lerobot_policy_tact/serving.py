# SPDX-License-Identifier: Apache-2.0
"""libtact in the place of PyTorch for a policy that LeRobot loaded from a checkpoint.

TACT_LEROBOT = off, float32 (default) or bfloat16. Only the prediction of a chunk is replaced: queue and ensemble stay
the policy's own. The first chunk is held against PyTorch's, and whatever goes wrong, then or later, is told in one
line and leaves the policy to PyTorch. Nothing here raises what PyTorch alone would not raise.
"""

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .units import Units, Unservable

log = logging.getLogger("lerobot_policy_tact")

SETTING = "TACT_LEROBOT"
# The most that a value of the first chunk may differ from PyTorch's, in normalised units (of an action normalised by
# MEAN_STD: standard deviations). bfloat16 has 8 bits, of which each activation loses some more.
TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}

Frame = dict[str, Tensor]  # (B, ...) each


def wanted() -> str | None:
    """What TACT_LEROBOT says: a dtype, or None for off."""
    value = os.environ.get(SETTING, "") or "float32"
    if value not in ("off", *TOLERANCE):
        log.warning("%s=%s is none of off, float32, bfloat16: PyTorch runs the policy", SETTING, value)
    return value if value in TOLERANCE else None


class Elsewhere(Unservable):
    """PyTorch has the policy on a device that libtact was not asked to take: no cause for a warning."""


def import_libtact():
    """The module: installed, or beside the built library that TACT_LIBRARY names (in tact's source tree, or below
    the prefix of `cmake --install`)."""
    try:
        return importlib.import_module("libtact")
    except ModuleNotFoundError:
        if "TACT_LIBRARY" not in os.environ:
            raise Unservable("there is no libtact: pip install libtact, or name the built library in "
                             "TACT_LIBRARY") from None
    library = Path(os.environ["TACT_LIBRARY"]).resolve()
    places = [up / below for up in library.parents[1:4] for below in ("python", "share/tact/python")]
    found = next((place for place in places if (place / "libtact" / "__init__.py").is_file()), None)
    if found is None:
        raise Unservable(f"the Python package libtact is neither installed nor beside TACT_LIBRARY={library}")
    sys.path.append(str(found))
    return importlib.import_module("libtact")


class Weights:
    """Tells whether a module still has the weights it was loaded with."""

    def __init__(self, module: nn.Module):
        self._tensors = self._all(module)
        self._marks = self._now()
        self._sums = self._digest()

    @staticmethod
    def _all(module: nn.Module) -> list[Tensor]:
        return [*module.parameters(), *module.buffers()]

    def _now(self) -> list[tuple]:
        return [(t._version, t.data_ptr(), t.dtype) for t in self._tensors]

    def _digest(self) -> list[int]:
        """Sums of whole numbers, which no order of adding changes; floats' would with the number of threads."""
        with torch.no_grad():
            flat = [t.detach().reshape(-1) for t in self._tensors]
            return [t.view(torch.int32 if t.element_size() == 4 else torch.uint8).sum().item() for t in flat]

    def written_to(self) -> bool:
        """Quick, for every prediction: what optimizers, load_state_dict and .to() do."""
        return self._now() != self._marks

    def changed(self, module: nn.Module) -> bool:
        """Also other modules (adapters), and what was written past PyTorch's counters, through .data."""
        tensors = self._all(module)
        same = len(tensors) == len(self._tensors) and all(map(lambda a, b: a is b, tensors, self._tensors))
        return not same or self.written_to() or self._digest() != self._sums


def _hooked(module: nn.Module) -> bool:
    return any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


class Serving:
    """Whether, and how, libtact predicts for one policy."""

    def __init__(self, policy: nn.Module, directory: str | Path, dtype: str, tolerance: float | None = None):
        """directory: the checkpoint that the policy has just been loaded from. tolerance: for tests."""
        self._directory, self._dtype = Path(directory), dtype
        self._tolerance = TOLERANCE[dtype] if tolerance is None else tolerance
        self._handle = self._units = self._fed = None
        self._over, self._held, self._lock = False, False, threading.Lock()
        try:
            self._weights = Weights(policy)
        except Exception as e:  # as of tensors made under torch.inference_mode
            self._leave(e)

    def __deepcopy__(self, memo) -> "Serving":
        """A copy of a policy is PyTorch's: the handle is one policy's, and nothing says what the copy is for."""
        return self._ended()

    def __reduce__(self):
        return Serving._ended, ()

    @staticmethod
    def _ended() -> "Serving":
        out = object.__new__(Serving)
        out._handle = out._units = out._fed = None
        out._over, out._held, out._lock = True, False, threading.Lock()
        return out

    @property
    def active(self) -> bool:
        """Whether libtact's chunks are what the policy gives."""
        return self._held and not self._over

    # ---- what a policy calls ----------------------------------------------------------------------

    def begin(self, policy: nn.Module) -> None:
        """An episode begins. Opens the library here and not in the first step, for which a robot waits."""
        self._fed = None
        if self._over or policy.training:
            return
        try:
            if self._weights.changed(policy):
                raise Unservable("its weights are no more those that were loaded")
            if self._handle is None:
                self._open(policy)
        except Exception as e:
            self._leave(e)

    def chunk(self, policy: nn.Module, by_torch: Callable[[], Tensor], window: Sequence[Frame],
              stream: tuple[Sequence[Frame], int] | None = None,
              comparable: Callable[[Tensor], Tensor] = lambda chunk: chunk,
              yardstick: Callable[[Units], Tensor] | None = None) -> Tensor:
        """The chunk (B, S, A) for a window of T frames, oldest first, or PyTorch's.

        stream: the last frames of the episode, without a gap, and how many there have been, where the window is the
        newest of these: then libtact need not encode those again that it has seen. comparable: makes a chunk into
        normalised numbers. yardstick: PyTorch's chunk of just what libtact sees, where by_torch's is of another."""
        if policy.training or self._over:
            return by_torch()
        if self._handle is None:
            self.begin(policy)
        try:
            if self._over:
                return by_torch()
            with self._lock:  # of one prediction all calls belong together
                chunk = self._predict(window, stream)
            if self._held:
                return chunk
            return self._hold(chunk, (lambda: yardstick(self._units)) if yardstick else by_torch, comparable)
        except _TorchFailed as e:
            raise e.error from None
        except Exception as e:
            self._leave(e)
        return by_torch()

    # ---- private ------------------------------------------------------------------------------------

    def _open(self, policy: nn.Module) -> None:
        device = next(policy.parameters()).device
        if device.type == "cuda" and SETTING not in os.environ:
            raise Elsewhere(f"it is on {device} (TACT_LEROBOT=float32 has libtact try it there)")
        if device.type not in ("cpu", "cuda"):
            raise Elsewhere(f"it is on {device}")
        if any(p.dtype != torch.float32 for p in policy.parameters()):
            raise Unservable("not all of its weights are float32")
        if _hooked(policy):
            raise Unservable("its modules have forward hooks, which would not be called")
        libtact = import_libtact()
        c = policy.config
        self._units = Units(self._directory, c, own_rows=bool(getattr(c, "arms", 0)))
        self._every = getattr(c, "obs_down_sample_steps", None) or 1
        # Where the next prediction looks at frames that this one has looked at. The cache encodes every frame as it
        # comes, which is wasted on those that are not looked at again.
        period = c.n_action_steps * (getattr(c, "action_down_sample_steps", None) or 1)
        again = period <= ((getattr(c, "obs_state_horizon", None) or 1) - 1) * self._every
        self._handle = libtact.Policy(
            self._directory, dtype=self._dtype, device=None if device.type == "cpu" else str(device),
            threads=torch.get_num_threads(), rate_check=False, frame_cache=again,
            log=lambda warning, line: log.log(logging.WARNING if warning else logging.INFO, "libtact: %s", line))
        self._version = libtact.version()

    def _predict(self, window: Sequence[Frame], stream) -> Tensor:
        if self._weights.written_to():
            raise Unservable("its weights are no more those that were loaded")
        like = next(iter(window[-1].values()))
        if stream is not None and len(like) == 1:
            self._feed(*stream)
            chunks = [self._handle.predict_action_chunk()]
        else:
            self._fed = None
            chunks = [self._of_window(window, row) for row in range(len(like))]
        chunk = np.stack([self._units.chunk(c) for c in chunks])
        return torch.from_numpy(chunk).to(device=like.device, dtype=torch.float32)

    def _feed(self, frames: Sequence[Frame], seen: int) -> None:
        new = len(frames) if self._fed is None else seen - self._fed
        if self._fed is None or new > len(frames):
            self._handle.reset()
            new = len(frames)
        self._fed = None  # until all of them are in
        for k in range(len(frames) - new, len(frames)):
            self._handle.observe(self._units.observation(frames[k], 0))
        self._fed = seen

    def _of_window(self, window: Sequence[Frame], row: int) -> np.ndarray:
        """Frames between those of the window are not looked at; each stands in for those that follow it."""
        self._handle.reset()
        for k, frame in enumerate(window):
            observation = self._units.observation(frame, row)
            for _ in range(self._every if k + 1 < len(window) else 1):
                self._handle.observe(observation)
        return self._handle.predict_action_chunk()

    def _hold(self, chunk: Tensor, by_torch: Callable[[], Tensor], comparable) -> Tensor:
        """The first one against PyTorch's."""
        try:
            wanted = by_torch()
        except Exception as e:
            raise _TorchFailed(e) from None
        if chunk.shape != wanted.shape:
            raise Unservable(f"its chunk is {tuple(chunk.shape)}, PyTorch's {tuple(wanted.shape)}")
        apart = self._units.varying(comparable(chunk) - comparable(wanted)).abs().max().item()
        if not apart <= self._tolerance:  # also of NaN
            raise Unservable(f"its first chunk is {apart:.2g} from PyTorch's in normalised units; "
                             f"{self._tolerance:g} is allowed at {self._dtype}")
        self._held = True
        log.info("libtact %s runs the policy in %s (%s): %d threads, first chunk %.1g from PyTorch's", self._version,
                 self._directory, self._dtype, torch.get_num_threads(), apart)
        return chunk.to(wanted.dtype)

    def _leave(self, why: Exception) -> None:
        """To PyTorch, for good."""
        first = not self._over
        self._over, self._handle, self._units = True, None, None
        if first:
            text = " ".join(str(why).split()) or type(why).__name__
            if not isinstance(why, Unservable):
                text = f"{type(why).__name__}: {text}"
            level = logging.INFO if isinstance(why, Elsewhere) else logging.WARNING
            log.log(level, "PyTorch runs the policy in %s, and not libtact: %s", self._directory, text)


class _TorchFailed(Exception):
    """What PyTorch raised, which is the caller's."""

    def __init__(self, error: Exception):
        super().__init__(str(error))
        self.error = error


def serve(policy: nn.Module, directory: str | Path) -> Serving | None:
    """For a policy that was just loaded from a directory; None where TACT_LEROBOT is off."""
    dtype = wanted()
    return None if dtype is None else Serving(policy, directory, dtype)


def local_directory(name: str | Path, arguments: dict[str, Any]) -> Path:
    """Where from_pretrained(name, **arguments) has found model.safetensors."""
    if os.path.isdir(name):
        return Path(name)
    from huggingface_hub import hf_hub_download

    keys = {key: arguments[key] for key in ("revision", "cache_dir") if arguments.get(key) is not None}
    return Path(hf_hub_download(str(name), "model.safetensors", local_files_only=True, **keys)).parent
