#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/function/network_function.hpp"
#include "core/functions/flow_map.hpp"

namespace sluice {

/// The flows that a firewall allowed, so that their replies pass: connection tracking.
///
/// A flow is kept under the key of its first packet without ingress port, because a reply comes in
/// elsewhere. TCP is followed only as far as its end: after FIN both ways or a RST the flow stays
/// for `closing_timeout`, which no packet prolongs, for last acknowledgements. All else ends when
/// idle.
class FirewallState {
 public:
  struct Options {
    std::uint32_t flow_count_max = 65536;
    Duration tcp_idle = std::chrono::minutes{5};
    Duration udp_idle = std::chrono::seconds{30};  ///< Also SCTP and other protocols.
    Duration icmp_idle = std::chrono::seconds{10};
    Duration closing_timeout = std::chrono::seconds{1};
  };
  explicit FirewallState(const Options& options);

  /// Whether a packet belongs to a flow that was opened, in either direction; marks it seen.
  /// A TCP SYN (without ACK) on a closing flow does not: it begins a new one.
  /// @param tcp_flags Of TCP packets; else 0.
  [[nodiscard]] bool passes(const FlowKey& key, std::uint8_t tcp_flags, Instant now) noexcept;
  /// Opens a flow by its first packet, which passes() just refused.
  /// @return Whether there was room.
  [[nodiscard]] bool open(const FlowKey& key, std::uint8_t tcp_flags, Instant now) noexcept;
  /// Removes flows that ended, at most `budget` of them.
  void expire(Instant now, std::uint32_t budget) noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept { return flows_.size(); }
  void rekey(const HashKey& hash_key) noexcept { flows_.rekey(hash_key); }
  void restamp(Instant now) noexcept { flows_.restamp(now); }

  /// Those of `keys` (either direction), or all. Times do not travel, for clocks differ between
  /// hosts: a flow counts as seen when it arrives.
  [[nodiscard]] std::vector<FlowState> export_state(std::span<const FlowKey> keys);
  /// Takes what export_state() gave; malformed states and what finds no room are left out.
  void import_state(std::span<const FlowState> states, Instant now);

 private:
  // FlowMap's lists: one for each time limit.
  enum List : std::uint32_t { kTcp, kUdp, kIcmp, kClosing };
  struct Value {
    std::uint8_t fin_seen = 0;  // Bit 0: from the opener; bit 1: from the other side.
  };
  using Entry = FlowMap<Value>::Entry;

  static List list_of(const FlowKey& key) noexcept;
  static FlowKey without_ingress(FlowKey key) noexcept;
  [[nodiscard]] Duration limit_of(std::uint32_t list) const noexcept;
  [[nodiscard]] bool expired(const Entry& entry, Instant now) const noexcept {
    return now - entry.seen > limit_of(entry.list);
  }
  void follow(Entry& entry, std::uint8_t tcp_flags, bool from_opener, Instant now) noexcept;

  Options options_;
  FlowMap<Value> flows_;
};

}  // namespace sluice
