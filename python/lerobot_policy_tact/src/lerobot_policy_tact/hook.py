# SPDX-License-Identifier: Apache-2.0
"""Where LeRobot is taken hold of: PreTrainedPolicy.from_pretrained, and nothing else of it."""

import functools
import importlib.util
import sys

BASE, ACT = "lerobot.policies.pretrained", "lerobot.policies.act.modeling_act"


def install() -> None:
    """Now, or when LeRobot's policies are imported: that takes seconds, which its commands that have no policy need
    not wait."""
    if BASE in sys.modules:
        _wrap(sys.modules[BASE])
    else:
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported:
    """Finds nothing itself; sees to it that BASE is wrapped as soon as it is there."""

    def __init__(self):
        self._looking = False

    def find_spec(self, name: str, path=None, target=None):
        if name != BASE or self._looking:
            return None
        self._looking = True  # so that the others are asked
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module) -> None:
                execute(module)
                _wrap(module)
                sys.meta_path.remove(self)

            spec.loader.exec_module = exec_module
        return spec


def _wrap(module) -> None:
    base = module.PreTrainedPolicy
    loaded = base.from_pretrained.__func__
    if getattr(loaded, "serves_act", False):
        return

    @functools.wraps(loaded)
    def from_pretrained(cls, pretrained_name_or_path, *args, **kwargs):
        policy = loaded(cls, pretrained_name_or_path, *args, **kwargs)
        # Classes derived from ACT may compute something else.
        if type(policy).__module__ == ACT and type(policy).__name__ == "ACTPolicy":
            _serve(policy, pretrained_name_or_path, kwargs)
        return policy

    from_pretrained.serves_act = True
    base.from_pretrained = classmethod(from_pretrained)


def _serve(policy, name, arguments) -> None:
    from . import serving

    try:
        found = serving.serve(policy, serving.local_directory(name, arguments))
        if found is not None:
            from .served_act import ServedACTPolicy

            ServedACTPolicy.of(policy, found)
    except Exception as e:  # a policy that is loaded stays loaded
        serving.log.warning("PyTorch runs the policy in %s, and not libtact: %s", name, " ".join(str(e).split()))
