// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include "base/memory.h"
#include <string.h>

void image_free(Image *image) {
    mem_free(image->rgb);
    *image = (Image){0};
}

ImageFilter image_filter_named(const char *name) {
    return name && strcmp(name, "bilinear") == 0 ? IMAGE_BILINEAR : IMAGE_AREA;
}
