// SPDX-License-Identifier: Apache-2.0
// Whether state and action are poses of arms, which can be made relative.
#ifndef TACT_DATASET_ARMS_H
#define TACT_DATASET_ARMS_H

#include "dataset/dataset.h"

// Decides pose_repr=auto: relative when state and action both have 7k values whose names are, arm
// by arm, x y z, a rotation vector (rx ry rz; also roll-free spellings such as wx wy wz,
// rotvec_x ..., axis_angle ...), gripper, with any prefix/suffix around (left_x, ee.x, x.pos).
// Gives k in *arms, 0 when it does not apply. `explicit_relative`: only the sizes are checked
// (7k), and a mismatch is an error. Names of Euler angles (roll, pitch, yaw) or degrees are no
// poses.
CHECKED bool arms_detect(const Dataset *ds, bool explicit_relative, int *arms, Error *err);

// Refuses rotation vectors that cannot be any: longer than 2 pi (degrees), or whose names say Euler
// angles. Of state and action with 7 values an arm; the error names the value's place and says how
// to convert.
CHECKED bool arms_check_poses(const Dataset *ds, int arms, Error *err);

#endif
