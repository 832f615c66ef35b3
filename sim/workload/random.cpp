#include "sim/workload/random.hpp"

#include <cmath>

namespace sluice::sim {

double natural_log(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // Exact: takes the number apart.
  if (mantissa < 0.70710678118654752) {
    mantissa *= 2;
    --exponent;
  }
  // ln(m) = 2 artanh(s), s = (m - 1) / (m + 1) within 0.172: the series needs eleven terms.
  const double s = (mantissa - 1) / (mantissa + 1);
  const double square = s * s;
  double sum = 0;
  for (int term = 21; term >= 1; term -= 2) sum = sum * square + 1.0 / term;
  constexpr double kLn2 = 0.69314718055994530942;
  return 2 * s * sum + exponent * kLn2;
}

}  // namespace sluice::sim
