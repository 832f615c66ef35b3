#include "core/packet/mac_text.hpp"

namespace sluice {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<MacAddress, std::string> parse_mac(std::string_view text) {
  const auto malformed = unexpected(std::string("no MAC address as 02:00:00:00:00:01"));
  MacAddress address{};
  if (text.size() != 3 * address.size() - 1) return malformed;
  bool zero = true;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const int high = digit_of(text[3 * i]);
    const int low = digit_of(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i > 0 && text[3 * i - 1] != ':')) return malformed;
    address[i] = static_cast<std::uint8_t>(high * 16 + low);
    zero = zero && address[i] == 0;
  }
  if ((address[0] & 1u) != 0) return unexpected(std::string("a multicast MAC address"));
  if (zero) return unexpected(std::string("the MAC address 0"));
  return address;
}

std::string to_text(const MacAddress& mac) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : mac) {
    if (!text.empty()) text += ':';
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

}  // namespace sluice
