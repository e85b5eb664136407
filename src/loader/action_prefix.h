// SPDX-License-Identifier: Apache-2.0
// How many of a sample's first actions are given to the policy in training: those that a robot
// would carry out while the chunk is computed (Black et al., "Training-time action conditioning for
// efficient real-time chunking", 2025).
#ifndef TACT_LOADER_ACTION_PREFIX_H
#define TACT_LOADER_ACTION_PREFIX_H

#include <stdint.h>

// From 0 to `most`, each as likely: a function of (seed, epoch, row) alone, so the same whichever
// batch, piece or process the row is in. Padded actions count as any other; of a sample of which no
// other is left nothing is learnt but what the VAE's encoder learns.
int action_prefix_at(uint64_t seed, int most, int64_t epoch, int64_t row);

#endif
