// SPDX-License-Identifier: Apache-2.0
// Smooth ways between values and between rotations that are known at given times: cubics that pass
// through them and whose rates go on without a jump (Hermite's form).
#ifndef TACT_POSE_CURVE_H
#define TACT_POSE_CURVE_H

// The rate at the middle one of three numbers, of which `back` seconds and `ahead` seconds lie
// between: such that the curve does not leave the range of its two ends (Fritsch and Butland, "A
// Method for Constructing Local Monotone Piecewise Cubic Interpolants", SIAM J. Sci. Stat. Comput.
// 5, 1984).
double curve_rate(double before, double here, double after, double back, double ahead);
// The number a share s (0 to 1) of the way from a, with rate `ra`, to b, with rate `rb`, `seconds`
// later; *rate: the rate there. Exactly a and b at the ends.
double curve_number(double a, double ra, double b, double rb, double seconds, double s,
                    double *rate);

// The same for rotations (row-major matrices); rates are rotation vectors a second in the frame of
// the rotation itself.
void curve_turn_rate(const double before[3][3], const double here[3][3], const double after[3][3],
                     double back, double ahead, double rate[3]);
// The cubic is one of rotation vectors from a; the rates are carried there and back by the right
// Jacobian of the exponential map (Chirikjian, "Stochastic Models, Information Theory, and Lie
// Groups", 2012).
void curve_rotation(const double a[3][3], const double ra[3], const double b[3][3],
                    const double rb[3], double seconds, double s, double out[3][3], double rate[3]);

#endif
