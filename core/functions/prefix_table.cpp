#include "core/functions/prefix_table.hpp"

namespace sluice {
namespace {

// The first `byte_count` bytes of an address as a number.
Uint128 number_of(const std::array<std::uint8_t, 16>& bytes, std::size_t byte_count) {
  Uint128 number = 0;
  for (std::size_t i = 0; i < byte_count; ++i) number = number << 8 | bytes[i];
  return number;
}

}  // namespace

template <class Address>
PrefixTable::Ranges<Address> PrefixTable::flatten(std::vector<Span<Address>> spans) {
  // Outer before inner, for prefixes are nested or disjoint; equal ones in the caller's order.
  std::stable_sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.length < b.length;
  });
  Ranges<Address> ranges;
  const auto begin_range = [&](Address start, std::uint32_t value) {
    if (!ranges.starts.empty() && ranges.starts.back() == start) {
      ranges.values.back() = value;
    } else {
      ranges.starts.push_back(start);
      ranges.values.push_back(value);
    }
  };
  begin_range(0, kNoRoute);
  std::vector<Span<Address>> open;  // Those around the current place, outermost first.
  const auto close = [&] {
    const Address last = open.back().last;
    open.pop_back();
    if (last == std::numeric_limits<Address>::max()) return;
    begin_range(last + 1, open.empty() ? kNoRoute : open.back().value);
  };
  for (const Span<Address>& span : spans) {
    while (!open.empty() && open.back().last < span.first) close();
    begin_range(span.first, span.value);
    open.push_back(span);
  }
  while (!open.empty()) close();
  return ranges;
}

template <class Address>
std::uint32_t PrefixTable::look_up(const Ranges<Address>& ranges, Address address) noexcept {
  const auto above = std::upper_bound(ranges.starts.begin(), ranges.starts.end(), address);
  return ranges.values[static_cast<std::size_t>(above - ranges.starts.begin()) - 1];
}

PrefixTable::PrefixTable(std::span<const Route> routes) {
  std::vector<Span<std::uint32_t>> spans4;
  std::vector<Span<Uint128>> spans6;
  for (const Route& route : routes) {
    const auto& [address, length] = route.prefix;
    if (address.ip_version == 4) {
      const auto first = static_cast<std::uint32_t>(number_of(address.bytes, 4));
      const std::uint32_t rest = length == 32 ? 0u : ~0u >> length;
      spans4.push_back({first, first | rest, length, route.value});
    } else {
      const Uint128 first = number_of(address.bytes, 16);
      const Uint128 rest = length == 128 ? Uint128{0} : ~Uint128{0} >> length;
      spans6.push_back({first, first | rest, length, route.value});
    }
  }
  ipv4_ = flatten(std::move(spans4));
  ipv6_ = flatten(std::move(spans6));
}

std::uint32_t PrefixTable::find(std::uint8_t ip_version,
                                const std::array<std::uint8_t, 16>& address) const noexcept {
  if (ip_version == 4) {
    return look_up(ipv4_, static_cast<std::uint32_t>(number_of(address, 4)));
  }
  if (ip_version == 6) return look_up(ipv6_, number_of(address, 16));
  return kNoRoute;
}

}  // namespace sluice
