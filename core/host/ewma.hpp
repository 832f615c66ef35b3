#pragma once

#include <cstdint>

#include "core/check.hpp"
#include "core/units.hpp"

namespace sluice {

/// Smooths a ratio over time: an exponentially weighted moving average, in integers, so that every
/// machine and compiler gives the same value.
///
/// A step of length dt moves the average by dt / (tau + dt) of the way to the new sample. That is
/// the implicit form of tau * dy/dt = x - y: it never overshoots however long a step is, and needs
/// no exponential (the explicit 1 - exp(-dt / tau) is 0.181 at dt = 10 ms, tau = 50 ms; this is
/// 0.167).
class Ewma {
 public:
  /// `tau` is above 0 (checked). The average starts at `initial`: a new ring is empty.
  explicit constexpr Ewma(Duration tau, Ppm initial = Ppm{0})
      : tau_ns_(tau.count()), scaled_(std::int64_t{initial.value} * kScale) {
    SLUICE_CHECK(tau_ns_ > 0);
  }

  /// Takes in a sample that stands for the last `dt` (0 or more, checked), and gives the new
  /// average.
  constexpr Ppm update(Ppm sample, Duration dt) {
    SLUICE_CHECK(dt.count() >= 0);
    const Int128 distance = std::int64_t{sample.value} * kScale - scaled_;
    scaled_ += static_cast<std::int64_t>(distance * dt.count() / (Int128{tau_ns_} + dt.count()));
    return value();
  }

  /// The average, rounded to the nearest ppm.
  [[nodiscard]] constexpr Ppm value() const {
    return Ppm{static_cast<std::uint32_t>((scaled_ + kScale / 2) / kScale)};
  }

  constexpr bool operator==(const Ewma&) const = default;

 private:
  /// Fractions of a ppm, so that small steps are not lost to rounding; 2^32 ppm still fit.
  static constexpr std::int64_t kScale = 1 << 20;

  std::int64_t tau_ns_;
  std::int64_t scaled_;
};

}  // namespace sluice
