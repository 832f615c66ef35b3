#include "core/encapsulation/cookie.hpp"

#include <array>
#include <bit>

#include "core/packet/bytes.hpp"

namespace sluice {
namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t siphash(const HashKey& key, std::span<const std::byte> bytes) noexcept {
  SipState state{key.low ^ 0x736f6d6570736575u, key.high ^ 0x646f72616e646f6du,
                 key.low ^ 0x6c7967656e657261u, key.high ^ 0x7465646279746573u};
  const std::size_t whole = bytes.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) state.take(load_le64(bytes.data() + i));
  std::uint64_t last = std::uint64_t{bytes.size()} << 56;
  for (std::size_t i = whole; i < bytes.size(); ++i) {
    last |= std::to_integer<std::uint64_t>(bytes[i]) << 8 * (i - whole);
  }
  state.take(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::uint32_t tunnel_cookie(const HashKey& secret, const TunnelWay& way) noexcept {
  std::array<std::byte, 8> bytes;
  store_be16(bytes.data(), index_of(way.sender));
  store_be16(bytes.data() + 2, index_of(way.receiver));
  store_be32(bytes.data() + 4, way.sender_epoch);
  return static_cast<std::uint32_t>(siphash(secret, bytes));
}

}  // namespace sluice
