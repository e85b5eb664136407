// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include "base/memory.h"

void image_free(Image *image) {
    mem_free(image->rgb);
    *image = (Image){0};
}
