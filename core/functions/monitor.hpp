#pragma once

#include <cstdint>
#include <vector>

#include "core/function/network_function.hpp"
#include "core/functions/flow_map.hpp"

namespace sluice {

/// Packets and frame bytes.
struct TrafficCount {
  std::uint64_t packet_count = 0;
  std::uint64_t byte_count = 0;

  void add(std::uint64_t bytes) noexcept {
    ++packet_count;
    byte_count += bytes;
  }
  void add(const TrafficCount& other) noexcept {
    packet_count += other.packet_count;
    byte_count += other.byte_count;
  }
  bool operator==(const TrafficCount&) const = default;
};

/// `monitor`: counts packets and bytes per flow and sends every packet to the next step.
///
/// Settings: `flows` (how many flows it counts at once, default 65536), `idle` (a flow unseen for
/// longer makes room, default 5 s). Counts are exact: a flow that found no room is counted as
/// untracked, one that went idle is added to ended, and total = flows + ended + untracked +
/// malformed. A flow that moves to another instance needs no state there: its counts of all
/// instances add up.
class Monitor final : public NetworkFunction {
 public:
  struct Options {
    std::uint32_t flow_count_max = 65536;
    Duration idle_timeout = std::chrono::seconds{5};  ///< Above 0.
  };
  struct FlowCount {
    FlowKey key;
    TrafficCount count;
    Instant first_seen{};
    Instant last_seen{};
  };
  /// What it saw beside the flows that it counts now.
  struct Totals {
    TrafficCount total;
    TrafficCount ended;      ///< Of flows that were counted and went idle.
    TrafficCount untracked;  ///< Of packets whose flow found no room.
    TrafficCount malformed;  ///< Of frames that have no flow.
  };
  Monitor(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;
  void tick(Context& context) noexcept override;

  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }
  [[nodiscard]] std::uint32_t flow_count() const noexcept { return flows_.size(); }
  /// The `count` flows with most bytes, most first; equal ones in the order in which they were last
  /// seen. Allocates.
  [[nodiscard]] std::vector<FlowCount> top_flows(std::size_t count) const;

  /// Counts one packet of `key`. All the logic.
  void count(const FlowKey& key, std::uint64_t bytes, Instant now) noexcept;
  /// Ends flows that are idle at `now`, at most `budget`.
  void expire(Instant now, std::uint32_t budget) noexcept;

 private:
  struct Value {
    TrafficCount count;
    Instant first_seen{};
  };
  void rekey_once(Context& context) noexcept;
  void end(FlowMap<Value>::Entry& entry) noexcept;

  Options options_;
  FlowMap<Value> flows_;
  Totals totals_;
  bool keyed_ = false;
};

}  // namespace sluice
