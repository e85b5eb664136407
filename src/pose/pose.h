// SPDX-License-Identifier: Apache-2.0
// Rigid poses, their relative form, and the 10-value rows a UMI-style policy sees.
//
// A pose row as robots record it has 7 values an arm: x y z (metres), rotation vector rx ry rz
// (radians), gripper. A row as the policy sees it has 10: x y z of the relative pose, the first two
// ROWS of its rotation matrix (r00 r01 r02 r10 r11 r12), gripper. The gripper is never relative.
// All arithmetic in double.
#ifndef TACT_POSE_POSE_H
#define TACT_POSE_POSE_H

enum { POSE_ROW = 7, POSE_POLICY_ROW = 10 }; // values an arm

typedef struct Pose {
    double position[3];
    double rotation[3][3]; // row-major; x_world = rotation * x_local + position
} Pose;

// From position and rotation vector (axis times angle; Rodrigues). Exact through angle 0 (series)
// and pi.
Pose pose_from_vector(const double v[6]);
// Rotation vector with angle in [0, pi]. At pi the axis' sign is free; it is chosen so that its
// first non-zero component is positive.
void pose_to_vector(const Pose *p, double v[6]);
// Of the two rotation vectors of at most 2 pi that are the same rotation as v, which has at most
// pi, writes the one nearer to `before` into v: near an angle of pi the shorter one turns round,
// and a program that goes from the last to this number by number would make a whole turn. Both of
// equal distance: v stays.
void pose_vector_near(double v[3], const double before[3]);
// The longest rotation vector that is taken for one; longer are degrees or something else.
#define POSE_LONGEST_VECTOR 6.2831853072 // 2 pi
// inv(base) * p
Pose pose_relative(const Pose *base, const Pose *p);
// base * p
Pose pose_compose(const Pose *base, const Pose *p);
// A share (0 to 1) of the way from one pose to another: on a straight line, the rotation by the
// shorter turn at an even rate.
Pose pose_between(const Pose *from, const Pose *to, double share);
// Position, then rows 0 and 1 of the rotation.
void pose_to_9d(const Pose *p, double v[9]);
// The inverse for a network's output, which is not orthonormal: row 0 normalised, row 1 minus its
// part along row 0 normalised, row 2 their cross product (Gram-Schmidt; Zhou et al., "On the
// Continuity of Rotation Representations in Neural Networks", CVPR 2019).
// Rows that give no rotation give a proper one all the same, never NaN: a row 0 without a direction
// (zero or not finite) is x; a row 1 that has none beside row 0 (parallel, zero or not finite) is
// that of the smallest turn with this row 0. So a robot turns no further than it has to, and not at
// all where the network gave zeros. (UMI's and PyTorch3D's functions leave rows of zeros there: a
// matrix that is no rotation.) A position that is not finite is 0.
Pose pose_from_9d(const double v[9]);

// The proper rotation nearest to any 3x3 matrix (Frobenius), in place. Of a weighted mean of
// rotation matrices it is the mean rotation (Moakher, "Means and Averaging in the Group of
// Rotations", SIAM J. Matrix Anal. Appl. 24, 2002). Where there are several, as for zeros, one of
// them.
void pose_nearest_rotation(double m[3][3]);

// A row of `arms` arms (7 values each) relative to base (7 values each): out has 10 each.
void pose_row_to_policy(const double *row, const double *base, int arms, double *out);
// The inverse: a policy row (10 each) and the base (7 each) give an absolute row (7 each).
void pose_row_from_policy(const double *policy_row, const double *base, int arms, double *out);

#endif
