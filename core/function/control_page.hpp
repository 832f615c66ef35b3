#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

/// What an instance tells its host about itself: written by the instance, read by the host.
///
/// Lives in memory that both map, so it holds no pointers and its atomics are lock-free. The host
/// trusts none of it further than its own instance: load is clamped, a heartbeat only ever
/// compared.
struct alignas(64) ControlPage {
  static constexpr std::uint32_t kMagic = 0x534c4350;  // "SLCP"
  static constexpr std::uint32_t kVersion = 1;

  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::atomic<std::uint64_t> heartbeat{0};     ///< Counts up with each turn of the instance's loop.
  std::atomic<std::uint64_t> busy_ns{0};       ///< Time spent on packets since the start.
  std::atomic<std::uint64_t> packet_count{0};  ///< Packets decided since the start.
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(ControlPage) == 64);

}  // namespace sluice
