// SPDX-License-Identifier: Apache-2.0
// A value that carries only noise (an arm that stands still: a micrometre) must not be blown up to
// the full range of the network's input: then a millimetre there would outweigh all that the moving
// arm does.
#ifndef TACT_NORMALIZE_FLOOR_H
#define TACT_NORMALIZE_FLOOR_H

#include "base/stats.h"

// Widens the statistics of one vector: where a value's range or deviation is smaller than its
// floor, min and max move apart around their middle until they are the floor apart, and std becomes
// the floor. So what is saved with a policy says itself what it was normalised with. A value that
// does not vary at all (min == max) has no deviation, whatever is recorded: LeRobot computes it in
// float32, where of a hundred times the same number a deviation of 0.1 can be left, and the robot
// may leave the constant. normalizer_init knows such values. Returns how many values were widened.
//
// A floor is a share of the largest range (or deviation) among values of the same unit:
//   positions of relative poses (arms > 0; 10 values an arm): 10 %, and at least 0.1 mm;
//   their grippers: 10 % of the largest of both vectors, and at least 1 % of the largest value;
//   their rotations: none, they are in [-1, 1] as they are;
//   anything else (arms 0), whose units are not known: 0.1 % of the largest in the vector, but no
//   more than 1 % of the value's own magnitude, or than 0.001 % of the largest range where that is
//   more.
// beside: the other vector of the same arms (the action for the state), which lends its grippers;
// or NULL.
int stats_floor(Stats *s, const Stats *beside, int arms);

#endif
