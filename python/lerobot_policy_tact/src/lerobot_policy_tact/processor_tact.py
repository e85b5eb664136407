# SPDX-License-Identifier: Apache-2.0
"""LeRobot's standard pipelines, under its names: its tools address the steps by name. Where poses are
relative, normalization_mapping leaves state and action as they are, and the policy sees to them."""

from typing import Any

from lerobot.processor import (
    AddBatchDimensionProcessorStep,
    DeviceProcessorStep,
    NormalizerProcessorStep,
    PolicyAction,
    PolicyProcessorPipeline,
    RenameObservationsProcessorStep,
    UnnormalizerProcessorStep,
)
from lerobot.processor.converters import policy_action_to_transition, transition_to_policy_action

from .configuration_tact import TactConfig
from .statistics import Stats, read_stats, require


def make_tact_pre_post_processors(
    config: TactConfig, dataset_stats: Stats | None = None
) -> tuple[PolicyProcessorPipeline[dict[str, Any], dict[str, Any]],
           PolicyProcessorPipeline[PolicyAction, PolicyAction]]:
    """dataset_stats: None takes those of the checkpoint at config.pretrained_path. Statistics that are
    missing are an error."""
    config.settle()
    if dataset_stats is None and config.pretrained_path:
        dataset_stats = read_stats(config.pretrained_path)
    for key, feature in {**config.input_features, **config.output_features}.items():
        mode = config.normalization_mapping.get(feature.type.value)
        if mode is not None:
            require(dataset_stats, key, mode.value)
    both = {"norm_map": config.normalization_mapping, "stats": dataset_stats}
    before = [
        RenameObservationsProcessorStep(rename_map={}),
        AddBatchDimensionProcessorStep(),
        DeviceProcessorStep(device=config.device),
        NormalizerProcessorStep(features={**config.input_features, **config.output_features},
                                device=config.device, **both),
    ]
    after = [
        UnnormalizerProcessorStep(features=config.output_features, **both),
        DeviceProcessorStep(device="cpu"),
    ]
    return (
        PolicyProcessorPipeline[dict[str, Any], dict[str, Any]](steps=before, name="policy_preprocessor"),
        PolicyProcessorPipeline[PolicyAction, PolicyAction](
            steps=after, name="policy_postprocessor", to_transition=policy_action_to_transition,
            to_output=transition_to_policy_action),
    )
