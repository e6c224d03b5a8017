// The few functions of a real variable that tap tables need, from +, -, * and / alone, so that a table has the same bits
// whatever the mathematics library of the platform.
#pragma once

namespace pellucid {

double exponential(double x);        // relative error about 1e-16; 0 below -700
double logarithm(double x);          // x > 0
double power(double x, double y);    // x >= 0
void cos_sin(double x, double& cosine, double& sine);  // |x| up to 1e4
double bessel_j1(double x);          // x >= 0, up to a few hundred

}  // namespace pellucid
