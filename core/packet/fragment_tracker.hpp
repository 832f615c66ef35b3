#pragma once

#include <cstdint>
#include <vector>

#include "core/packet/flow_key.hpp"
#include "core/units.hpp"

namespace sluice {

/// Lets later fragments follow their first one, which alone carries the ports.
///
/// A datagram is named by addresses, IP id, VLANs and ingress port, over IPv4 also by its protocol
/// (RFC 791, 3.2); not over IPv6, where a later fragment names the header after the fragment header
/// and the first one the end of the chain (RFC 8200, 4.5). Nothing is reassembled and no packet is
/// kept: a later fragment that overtakes its first one is not found, and its caller drops it as
/// DropReason::kFragmentTable.
///
/// Bounded: it remembers the last `datagram_count_max` datagrams and forgets the oldest, so a flood
/// of first fragments costs other datagrams their rest, never memory or time. Not thread-safe; a
/// worker owns its own, which works because hash_symmetric() sends all fragments to one worker.
class FragmentTracker {
 public:
  struct Options {
    std::uint32_t datagram_count_max = 1024;  ///< 1 to 2^24; about 76 bytes each.
    /// Above 0. Fragments leave their sender back to back and arrive milliseconds apart, so 2 s is
    /// ample; the 15 s of RFC 791 or 60 s of RFC 8200 are a receiver's, and the 16-bit id of a fast
    /// sender wraps well before (RFC 4963): then a late fragment would follow the wrong datagram.
    Duration lifetime = std::chrono::seconds{2};
    HashKey hash_key{};
  };
  explicit FragmentTracker(const Options& options);

  /// Notes the ports and protocol of a first fragment. `key` is its flow key. One already noted for
  /// the same datagram is replaced. `now` never goes back (checked).
  void remember(const FlowKey& key, std::uint32_t fragment_id, Instant now) noexcept;

  /// Completes the key of a later fragment with the ports, and the protocol, of its first one.
  /// @return Whether the first one is remembered; if not, `key` is unchanged.
  [[nodiscard]] bool find(FlowKey& key, std::uint32_t fragment_id, Instant now) const noexcept;

  /// How many datagrams were forgotten before their time for want of room.
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Datagram {
    FlowKey name;  ///< Ports (over IPv6 the protocol too) are 0; `reserved` holds the fragment id.
    Instant expires{};
    std::uint32_t next = kNone;  ///< In its chain.
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;
    bool used = false;
  };

  static FlowKey name_of(const FlowKey& key, std::uint32_t fragment_id) noexcept;
  [[nodiscard]] std::uint32_t chain_of(const FlowKey& name) const noexcept;
  [[nodiscard]] std::uint32_t look_up(const FlowKey& name) const noexcept;
  void unlink(std::uint32_t index) noexcept;

  Options options_;
  std::vector<Datagram> datagrams_;   ///< A ring in order of arrival, so also of expiry.
  std::vector<std::uint32_t> heads_;  ///< Of the chains; a power of two.
  std::uint32_t oldest_ = 0;          ///< The next place to write.
  Instant last_now_{};
  std::uint64_t evicted_count_ = 0;
};

}  // namespace sluice
