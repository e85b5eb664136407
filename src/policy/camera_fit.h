// SPDX-License-Identifier: Apache-2.0
// What a policy makes of a recorded frame before it sees it.
#ifndef TACT_POLICY_CAMERA_FIT_H
#define TACT_POLICY_CAMERA_FIT_H

#include "config/config.h"
#include "image/image.h"

// Of a camera's frames: resized, and their middle cut out where the policy was trained on parts.
ImageFit camera_fit(const PolicyConfig *p, const CameraConfig *c);

#endif
