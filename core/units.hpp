#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <type_traits>

/// The types in which quantities and identities are said, so that a unit or a number of another
/// kind does not compile.
namespace sluice {

// For products that outgrow 64 bits. GCC and clang have them; only -Wpedantic must be told so.
__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

/// Has no now(): only a backend can tell the time, core cannot by accident.
struct Clock {};
using Duration = std::chrono::nanoseconds;
/// Nanoseconds since the backend's start of time: CLOCK_MONOTONIC, or simulated time.
using Instant = std::chrono::time_point<Clock, Duration>;

constexpr Instant instant_from_ns(std::uint64_t ns) {
  return Instant{Duration{static_cast<std::int64_t>(ns)}};
}
constexpr std::uint64_t to_ns(Instant instant) {
  return static_cast<std::uint64_t>(instant.time_since_epoch().count());
}

// Identities. A ServiceId or a ChainId does not convert to a PortId.
enum class HostId : std::uint16_t {};
enum class PortId : std::uint16_t {};
enum class ServiceId : std::uint16_t {};
enum class ChainId : std::uint16_t {};
enum class InstanceId : std::uint16_t {};

inline constexpr HostId kNoHost{0xffff};
inline constexpr PortId kNoPort{0xffff};
inline constexpr ServiceId kNoService{0xffff};
inline constexpr ChainId kNoChain{0xffff};
inline constexpr InstanceId kNoInstance{0xffff};

/// The number of an identity, for indexing and printing.
template <class Id>
requires std::is_enum_v<Id>
constexpr auto index_of(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}

/// Data per time. Rates count frame bytes without FCS, preamble and gap.
struct Rate {
  std::uint64_t bps = 0;
  constexpr auto operator<=>(const Rate&) const = default;
  /// How long `size_bytes` occupy a link of this rate, rounded up; the longest Duration at rate 0.
  [[nodiscard]] constexpr Duration time_for(std::uint64_t size_bytes) const {
    if (bps == 0) return Duration::max();
    const auto bit_ns = static_cast<Uint128>(size_bytes) * 8u * 1'000'000'000u;
    return Duration{static_cast<std::int64_t>((bit_ns + bps - 1) / bps)};
  }
};

/// How fast a core runs; a simulated cycle is one tick of it.
struct Frequency {
  std::uint64_t hz = 0;
  constexpr auto operator<=>(const Frequency&) const = default;
  /// How long `cycles` take, rounded up; the longest Duration at 0 Hz.
  [[nodiscard]] constexpr Duration time_for(std::uint64_t cycles) const {
    if (hz == 0) return Duration::max();
    const auto cycle_ns = static_cast<Uint128>(cycles) * 1'000'000'000u;
    return Duration{static_cast<std::int64_t>((cycle_ns + hz - 1) / hz)};
  }
};

/// Ratios in core are integers in parts per million: the same on every machine and compiler.
struct Ppm {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const Ppm&) const = default;
  /// `part / whole`, rounded down, held to at most 4294 (the type's end); 0 when `whole` is 0.
  [[nodiscard]] static constexpr Ppm ratio(std::uint64_t part, std::uint64_t whole) {
    if (whole == 0) return Ppm{0};
    const auto ppm = static_cast<Uint128>(part) * 1'000'000u / whole;
    constexpr auto ppm_max = std::numeric_limits<std::uint32_t>::max();
    return Ppm{ppm > ppm_max ? ppm_max : static_cast<std::uint32_t>(ppm)};
  }
};
inline constexpr Ppm kPpmOne{1'000'000};

}  // namespace sluice
