// SPDX-License-Identifier: Apache-2.0
// Normal numbers by counter: Box and Muller, "A Note on the Generation of Random Normal Deviates",
// Ann. Math. Statist. 29 (1958). Column c of a row is made from the pair of words c/2 % 2 of block
// c/4; the even column takes the cosine, the odd one the sine.
#include "ops/ref/ref.h"
#include <math.h>

void ref_random_normal(Device *d, Tensor y, RngKey key) {
    if (d->failed) return;
    for (int64_t row = 0; row < tensor_rows(y); row++) {
        float *to = ref_row(y, row);
        for (int64_t c = 0; c < tensor_columns(y); c++) {
            uint32_t words[4];
            rng_words(words, key, (uint32_t)row, (uint32_t)(c / 4));
            const uint32_t *pair = words + (c % 4 < 2 ? 0 : 2);
            // 1 - u is in (0, 1]: the logarithm is finite.
            double r = sqrt(-2 * log(1 - (double)rng_unit(pair[0])));
            double angle = 2 * M_PI * rng_unit(pair[1]);
            to[c] = (float)(r * (c % 2 == 0 ? cos(angle) : sin(angle)));
        }
    }
}
