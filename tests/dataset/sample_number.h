// SPDX-License-Identifier: Apache-2.0
// Which frame of the synthetic dataset a decoded picture is.
#ifndef TACT_TESTS_DATASET_SAMPLE_NUMBER_H
#define TACT_TESTS_DATASET_SAMPLE_NUMBER_H

#include "dataset/sample/scene.h"

// The number that scene_draw wrote into the top edge of rgb (height, width, 3), or -1 where it
// cannot be read.
static inline int sample_frame_number(const uint8_t *rgb, int height, int width) {
    int number = 0, band = height / SAMPLE_BAND;
    if (band < 2 || width < 4 * SAMPLE_NUMBER_BITS) return -1;
    for (int i = 0; i < SAMPLE_NUMBER_BITS; i++) {
        // The middle of the block: its edges are blurred by compression and resizing.
        int left = sample_block_edge(i, width), right = sample_block_edge(i + 1, width),
            inset = (right - left) / 4;
        int64_t sum = 0, count = 0;
        for (int y = band / 4; y < band - band / 4; y++) {
            for (int x = left + inset; x < right - inset; x++, count += 3) {
                const uint8_t *pixel = rgb + ((int64_t)y * width + x) * 3;
                sum += pixel[0] + pixel[1] + pixel[2];
            }
        }
        int64_t mean = sum / count;
        if (mean > 80 && mean < 176) return -1;
        number = number << 1 | (mean >= 176);
    }
    return number;
}

#endif
