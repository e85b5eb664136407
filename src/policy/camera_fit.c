// SPDX-License-Identifier: Apache-2.0
#include "policy/camera_fit.h"

#include "base/center.h"

ImageFit camera_fit(const PolicyConfig *p, const CameraConfig *c) {
    const int height = camera_resized_height(c), width = camera_resized_width(c);
    return (ImageFit){.height = height,
                      .width = width,
                      .filter = image_filter_named(p->resize_filter),
                      .top = center_start(height, c->image_height),
                      .left = center_start(width, c->image_width),
                      .rows = c->image_height,
                      .columns = c->image_width};
}
