#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>

namespace sluice {

/// The seed of this run's random tests: SLUICE_TEST_SEED, else 1; printed, so that a failure can be
/// repeated.
inline std::uint64_t test_seed() {
  const char* text = std::getenv("SLUICE_TEST_SEED");
  const std::uint64_t seed = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  std::cout << "SLUICE_TEST_SEED=" << seed << "\n";
  return seed;
}

}  // namespace sluice
