#include "core/deployment/quantity_text.hpp"

#include <array>
#include <span>
#include <string_view>

namespace sluice {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// The largest unit that leaves a whole number.
std::string quantity_text(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value % unit.factor != 0) continue;
    return std::to_string(value / unit.factor) + " " + std::string(unit.name);
  }
  return std::to_string(value);
}

}  // namespace

std::string text_of(Duration duration) {
  constexpr std::array kUnits{Unit{"s", 1'000'000'000}, Unit{"ms", 1'000'000}, Unit{"us", 1'000},
                              Unit{"ns", 1}};
  return quantity_text(static_cast<std::uint64_t>(duration.count()), kUnits);
}

std::string text_of(Instant instant) {
  return text_of(instant.time_since_epoch());
}

std::string text_of(Rate rate) {
  constexpr std::array kUnits{Unit{"Gbps", 1'000'000'000}, Unit{"Mbps", 1'000'000},
                              Unit{"kbps", 1'000}, Unit{"bps", 1}};
  return quantity_text(rate.bps, kUnits);
}

std::string text_of(Frequency frequency) {
  constexpr std::array kUnits{Unit{"GHz", 1'000'000'000}, Unit{"MHz", 1'000'000},
                              Unit{"kHz", 1'000}, Unit{"Hz", 1}};
  return quantity_text(frequency.hz, kUnits);
}

std::string bytes_text(std::uint64_t size_bytes) {
  return std::to_string(size_bytes) + " B";
}

// A text and no JSON number, for a double would print 0.000001 as 1e-06, which the parser refuses.
std::string text_of(Ppm ratio) {
  std::string fraction = std::to_string(1'000'000 + ratio.value % 1'000'000).substr(1);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  std::string text = std::to_string(ratio.value / 1'000'000);
  return fraction.empty() ? text : text + "." + fraction;
}

}  // namespace sluice
