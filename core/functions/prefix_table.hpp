#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "core/flow/flow_match.hpp"
#include "core/units.hpp"

namespace sluice {

/// Finds the longest of many IP prefixes that contains an address: routing's look-up.
///
/// Nested prefixes are flattened once into disjoint ranges in order, so a look-up is one binary
/// search over at most 2n + 1 starts, compact for few routes and quick for many; a route change
/// makes a new table. Immutable: share it freely.
class PrefixTable {
 public:
  struct Route {
    IpPrefix prefix;
    std::uint32_t value = 0;  ///< Below kNoRoute: what find() gives.
  };
  static constexpr std::uint32_t kNoRoute = std::numeric_limits<std::uint32_t>::max();

  /// Of routes with equal prefixes the last one holds.
  explicit PrefixTable(std::span<const Route> routes);

  /// The value of the longest prefix that contains an address (in the form of FlowKey); kNoRoute if
  /// none does.
  [[nodiscard]] std::uint32_t find(std::uint8_t ip_version,
                                   const std::array<std::uint8_t, 16>& address) const noexcept;

 private:
  // Where a range begins; it ends before the next one begins. The first begins at 0.
  template <class Address>
  struct Ranges {
    std::vector<Address> starts;
    std::vector<std::uint32_t> values;
  };
  template <class Address>
  struct Span {
    Address first, last;
    std::uint8_t length;
    std::uint32_t value;
  };
  template <class Address>
  static Ranges<Address> flatten(std::vector<Span<Address>> spans);
  template <class Address>
  static std::uint32_t look_up(const Ranges<Address>& ranges, Address address) noexcept;

  Ranges<std::uint32_t> ipv4_;
  Ranges<Uint128> ipv6_;
};

}  // namespace sluice
