// SPDX-License-Identifier: Apache-2.0
// What a policy needs beside its weights to run at int8: how each product rounds what it is given.
// It is found by a calibration (`tact calibrate`) and lies beside the weights, in
// int8_calibration.json.
#ifndef TACT_POLICY_POLICY_INT8_H
#define TACT_POLICY_POLICY_INT8_H

#include "base/error.h"
#include "model/params.h"

#define POLICY_INT8_FILE "int8_calibration.json"

// A rounding for each third of each parameter, (params->count, PARAM_PARTS).
typedef Rounding RoundingTable[][PARAM_PARTS];

// What the file says of itself, for people.
typedef struct Int8Calibration {
    const char *dataset, *method;
    int64_t observations;
} Int8Calibration;

// Whether products with this parameter are made of integers. Not those of states, the latent and
// the actions: they are small, and each of their numbers counts. Nor the ResNet's first convolution
// and its shortcuts, which take no less time so.
bool policy_rounds(const Param *q);
// How many products with this parameter have a rounding of their own: those of queries, keys and
// values with each third, any other with all of it; 0 where it does not round.
int policy_rounded_parts(const Param *q);
// The file in the directory of the weights, in the place of one that was there.
CHECKED bool policy_write_int8(const char *dir, const Params *p, const RoundingTable table,
                               const Int8Calibration *about, Error *err);
// The roundings of Params that have none from the file. It is an error where there is no file,
// where it is of other weights, and where something in it cannot be, or is there twice.
CHECKED bool policy_read_int8(const char *dir, Params *p, Error *err);

#endif
