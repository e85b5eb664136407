// SPDX-License-Identifier: Apache-2.0
// Where the middle part of a row of pixels begins.
#ifndef TACT_BASE_CENTER_H
#define TACT_BASE_CENTER_H

// The first of `part` in the middle of `whole`, 0 < part <= whole. Where an odd number is left
// over, the half is rounded to the even number, as torchvision's center_crop has it: 10 in 11 begin
// at 0, 10 in 13 at 2, 10 in 15 at 2.
static inline int center_start(int whole, int part) {
    const int rest = whole - part, half = rest / 2;
    return rest % 2 ? half + half % 2 : half;
}

#endif
