# SPDX-License-Identifier: Apache-2.0
"""LeRobot's ACT policy with libtact for its predictions. LeRobot's class is left as it is: a policy that was loaded
from a checkpoint becomes one of this class."""

from lerobot.policies.act.modeling_act import ACTPolicy
from torch import Tensor

from .serving import Serving


class ServedACTPolicy(ACTPolicy):
    """Queue, ensemble, weights and training are ACTPolicy's."""

    _tact: Serving

    @staticmethod
    def of(policy: ACTPolicy, serving: Serving) -> None:
        policy._tact = serving
        policy.__class__ = ServedACTPolicy

    def reset(self) -> None:
        super().reset()
        self._tact.begin(self)

    def predict_action_chunk(self, batch: dict[str, Tensor], *args, **kwargs) -> Tensor:
        def by_torch() -> Tensor:
            return ACTPolicy.predict_action_chunk(self, batch, *args, **kwargs)

        if args or kwargs:
            return by_torch()
        keys = (*self.config.image_features, "observation.state", "observation.environment_state")
        return self._tact.chunk(self, by_torch, [{key: batch[key] for key in keys if key in batch}])
