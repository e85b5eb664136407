// SPDX-License-Identifier: Apache-2.0
// Prints the sizes of the public structs and where their members lie; layout.py has them too.
#include "tact.h"

#include <stdio.h>

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define AT(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))

int main(void) {
    SIZE(tact_options);
    AT(tact_options, size), AT(tact_options, device), AT(tact_options, dtype);
    AT(tact_options, threads), AT(tact_options, dataset), AT(tact_options, n_action_steps);
    AT(tact_options, temporal_ensemble_coeff), AT(tact_options, frame_cache);
    AT(tact_options, workspace_min), AT(tact_options, workspace_max);
    AT(tact_options, max_translation), AT(tact_options, max_rotation);
    AT(tact_options, asynchronous), AT(tact_options, rate_check);
    AT(tact_options, chunk_size_threshold), AT(tact_options, log), AT(tact_options, log_user);
    AT(tact_options, blend_steps);
    AT(tact_options, camera_obs_latency), AT(tact_options, robot_obs_latency);
    AT(tact_options, gripper_obs_latency), AT(tact_options, robot_action_latency);
    AT(tact_options, gripper_action_latency), AT(tact_options, max_action_prefix);
    SIZE(tact_camera);
    AT(tact_camera, size), AT(tact_camera, name), AT(tact_camera, height), AT(tact_camera, width);
    SIZE(tact_image);
    AT(tact_image, size), AT(tact_image, camera), AT(tact_image, rgb), AT(tact_image, height),
        AT(tact_image, width);
    AT(tact_image, stride);
    SIZE(tact_observation);
    AT(tact_observation, size), AT(tact_observation, state), AT(tact_observation, state_size),
        AT(tact_observation, env);
    AT(tact_observation, env_size), AT(tact_observation, images), AT(tact_observation, n_images);
    AT(tact_observation, time), AT(tact_observation, state_time);
    SIZE(tact_limit_counts);
    AT(tact_limit_counts, size), AT(tact_limit_counts, workspace),
        AT(tact_limit_counts, translation);
    AT(tact_limit_counts, rotation);
    SIZE(tact_async_counts);
    AT(tact_async_counts, size), AT(tact_async_counts, predictions), AT(tact_async_counts, stalls),
        AT(tact_async_counts, delay);
    AT(tact_async_counts, longest_delay);
    return 0;
}
