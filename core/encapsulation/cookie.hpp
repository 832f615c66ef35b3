#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/flow_key.hpp"
#include "core/units.hpp"

namespace sluice {

/// SipHash-2-4 of `bytes` (Aumasson, Bernstein: "SipHash: a fast short-input PRF", INDOCRYPT 2012).
[[nodiscard]] std::uint64_t siphash(const HashKey& key, std::span<const std::byte> bytes) noexcept;

/// Who tunnels to whom, and since when.
struct TunnelWay {
  HostId sender{};
  HostId receiver{};
  std::uint32_t sender_epoch = 0;
};

/// What a receiver wants to see in each frame of a peer. It stops mistakes and blind spoofing, not
/// somebody who reads along. Cost: for once per peer and epoch, not for the data path.
[[nodiscard]] std::uint32_t tunnel_cookie(const HashKey& secret, const TunnelWay& way) noexcept;

}  // namespace sluice
