#include "core/flow/flow_match.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <utility>

namespace sluice {
namespace {

using Bytes16 = std::array<std::uint8_t, 16>;

std::string quoted(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

/// A decimal number of digits alone, at most `max`; nothing else, no sign, no leading zero.
std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t max) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

std::optional<std::array<std::uint8_t, 4>> parse_ipv4(std::string_view text) {
  std::array<std::uint8_t, 4> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i + 1 == bytes.size())) return std::nullopt;
    const auto part = parse_decimal(text.substr(0, dot), 255);
    if (!part) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*part);
    if (dot != std::string_view::npos) text.remove_prefix(dot + 1);
  }
  return bytes;
}

std::optional<std::uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Groups parted by single colons, the last perhaps an IPv4 address. @return How many bytes, or
/// nothing if malformed or more than 16.
std::optional<std::size_t> parse_groups(std::string_view text, bool ipv4_allowed, Bytes16& out) {
  std::size_t size = 0;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && ipv4_allowed && part.find('.') != part.npos) {
      const auto ipv4 = parse_ipv4(part);
      if (!ipv4 || size + 4 > out.size()) return std::nullopt;
      std::ranges::copy(*ipv4, out.begin() + static_cast<std::ptrdiff_t>(size));
      return size + 4;
    }
    const auto group = parse_group(part);
    if (!group || size + 2 > out.size()) return std::nullopt;
    out[size++] = static_cast<std::uint8_t>(*group >> 8);
    out[size++] = static_cast<std::uint8_t>(*group & 0xff);
    if (colon == std::string_view::npos) return size;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt;  // A colon at the end.
  }
  return size;
}

std::optional<Bytes16> parse_ipv6(std::string_view text) {
  Bytes16 head{};
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    const auto size = parse_groups(text, true, head);
    if (!size || *size != head.size()) return std::nullopt;
    return head;
  }
  Bytes16 tail{};
  const auto head_size = parse_groups(text.substr(0, gap), false, head);
  const auto tail_size = parse_groups(text.substr(gap + 2), true, tail);
  // "::" stands for at least one group.
  if (!head_size || !tail_size || *head_size + *tail_size > 14) return std::nullopt;
  const auto filled = static_cast<std::ptrdiff_t>(*tail_size);
  std::copy(tail.begin(), tail.begin() + filled, head.end() - filled);
  return head;
}

std::string ipv4_to_string(const Bytes16& bytes) {
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) text += '.';
    text += std::to_string(bytes[i]);
  }
  return text;
}

/// The longest run of two or more zero groups, the first of equals: [begin, end). RFC 5952, 4.2.
std::pair<std::size_t, std::size_t> longest_zero_run(const std::array<std::uint16_t, 8>& groups) {
  std::pair<std::size_t, std::size_t> best{8, 8};
  std::size_t length_best = 1;
  for (std::size_t begin = 0; begin < groups.size();) {
    std::size_t end = begin;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - begin > length_best) {
      best = {begin, end};
      length_best = end - begin;
    }
    begin = std::max(end, begin + 1);
  }
  return best;
}

std::string ipv6_to_string(const Bytes16& bytes) {
  std::array<std::uint16_t, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = static_cast<std::uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  }
  const auto [zero_begin, zero_end] = longest_zero_run(groups);
  std::string text;
  for (std::size_t i = 0; i < groups.size();) {
    if (i == zero_begin) {
      text += "::";
      i = zero_end;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 4> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), groups[i], 16).ptr;
    text.append(digits.data(), end);
    ++i;
  }
  return text;
}

bool first_bits_equal(const Bytes16& a, const Bytes16& b, std::uint32_t bits) {
  const std::size_t whole = bits / 8;
  if (std::memcmp(a.data(), b.data(), whole) != 0) return false;
  const std::uint32_t rest = bits % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

Bytes16 keep_first_bits(Bytes16 bytes, std::uint32_t bits) {
  for (std::uint32_t i = 0; i < 16; ++i) {
    const std::uint32_t kept = std::min(8u, bits - std::min(bits, 8 * i));
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00u >> kept));
  }
  return bytes;
}

}  // namespace

Result<IpAddress, std::string> IpAddress::parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    const auto ipv6 = parse_ipv6(text);
    if (!ipv6) return unexpected{quoted(text) + " is not an IPv6 address such as 2001:db8::1"};
    return IpAddress{.bytes = *ipv6, .ip_version = 6};
  }
  const auto ipv4 = parse_ipv4(text);
  if (!ipv4) {
    return unexpected{quoted(text) + " is not an IPv4 address (four numbers 0..255, no leading " +
                      "zeros) nor an IPv6 address"};
  }
  IpAddress address;
  std::ranges::copy(*ipv4, address.bytes.begin());
  return address;
}

std::string IpAddress::to_string() const {
  return ip_version == 4 ? ipv4_to_string(bytes) : ipv6_to_string(bytes);
}

Result<IpPrefix, std::string> IpPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return unexpected{address.error()};
  const std::uint32_t length_max = address->ip_version == 4 ? 32 : 128;
  std::uint32_t length = length_max;
  if (slash != std::string_view::npos) {
    const auto parsed = parse_decimal(text.substr(slash + 1), length_max);
    if (!parsed) {
      return unexpected{"prefix length " + quoted(text.substr(slash + 1)) + " of " + quoted(text) +
                        " is not a number 0.." + std::to_string(length_max)};
    }
    length = *parsed;
  }
  IpPrefix prefix{.address = *address, .length = static_cast<std::uint8_t>(length)};
  prefix.address.bytes = keep_first_bits(prefix.address.bytes, length);
  if (prefix.address != *address) {
    return unexpected{quoted(text) + " has host bits set beyond /" + std::to_string(length) +
                      "; the prefix is " + prefix.to_string()};
  }
  return prefix;
}

std::string IpPrefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

bool IpPrefix::contains(std::uint8_t ip_version,
                        const std::array<std::uint8_t, 16>& bytes) const noexcept {
  return ip_version == address.ip_version && first_bits_equal(bytes, address.bytes, length);
}

Result<PortRange, std::string> PortRange::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_decimal(text.substr(0, dash), 0xffff);
  const auto last =
      dash == std::string_view::npos ? first : parse_decimal(text.substr(dash + 1), 0xffff);
  if (!first || !last) {
    return unexpected{quoted(text) + " is not a port 0..65535 nor a range such as 8000-8099"};
  }
  if (*first > *last) {
    return unexpected{"port range " + quoted(text) + " is reversed; the lower port comes first"};
  }
  return PortRange{.first = static_cast<std::uint16_t>(*first),
                   .last = static_cast<std::uint16_t>(*last)};
}

std::string PortRange::to_string() const {
  if (first == last) return std::to_string(first);
  return std::to_string(first) + "-" + std::to_string(last);
}

Result<std::uint8_t, std::string> parse_protocol(std::string_view text) {
  constexpr std::pair<std::string_view, std::uint8_t> kNames[] = {{"icmp", std::uint8_t{1}},
                                                                  {"tcp", std::uint8_t{6}},
                                                                  {"udp", std::uint8_t{17}},
                                                                  {"icmpv6", std::uint8_t{58}},
                                                                  {"sctp", std::uint8_t{132}}};
  for (const auto& [name, number] : kNames) {
    if (text == name) return number;
  }
  const auto number = parse_decimal(text, 255);
  if (number) return static_cast<std::uint8_t>(*number);
  return unexpected{quoted(text) +
                    " is not an IP protocol (tcp, udp, sctp, icmp, icmpv6 or a number 0..255)"};
}

bool FlowMatch::matches(const FlowKey& key) const noexcept {
  if (protocol && (key.ip_version == 0 || *protocol != key.protocol)) return false;
  if (ip_version && *ip_version != key.ip_version) return false;
  if (ingress && index_of(*ingress) != key.ingress) return false;
  if (vlan && *vlan != key.vlan_outer) return false;
  if (source_port || destination_port) {
    if (!has_ports(key)) return false;
    if (source_port && !source_port->contains(key.source_port)) return false;
    if (destination_port && !destination_port->contains(key.destination_port)) return false;
  }
  if (source && !source->contains(key.ip_version, key.source)) return false;
  return !destination || destination->contains(key.ip_version, key.destination);
}

}  // namespace sluice
