#pragma once

#include <cstdint>

#include "core/prng.hpp"

/// Random numbers of shapes that workloads need, the same on every machine: only +, -, *, / and
/// integer operations, which IEEE 754 rounds everywhere alike. The C library's log does not: it may
/// differ in the last bit from one to the next, and a trace hash would with it. (Contraction to
/// fused multiply-add would too: these files are compiled with -ffp-contract=off.)
namespace sluice::sim {

/// Uniform in (0, 1], in steps of 2^-53.
[[nodiscard]] inline double uniform(Prng& prng) {
  return static_cast<double>((prng.next() >> 11) + 1) * 0x1p-53;
}

/// The natural logarithm of `x` in (0, 1], to about 1e-15 of itself.
[[nodiscard]] double natural_log(double x);

/// Exponential with mean 1: the gaps of a Poisson process of rate 1.
[[nodiscard]] inline double exponential(Prng& prng) {
  return -natural_log(uniform(prng));
}

}  // namespace sluice::sim
