#pragma once

#include <span>
#include <vector>

#include "core/host/latency_histogram.hpp"
#include "core/host/observer.hpp"

namespace sluice::sim {

/// How long packets were in a host, from arrival to the hand-over to the port, by chain: since the
/// last look, and in all.
class LatencyRecorder final : public Observer {
 public:
  explicit LatencyRecorder(std::size_t chain_count) : interval_(chain_count), total_(chain_count) {}

  void chain_published(Instant, const ChainVersion& chain) override {
    if (chain_of_.size() <= chain.index) chain_of_.resize(std::size_t{chain.index} + 1);
    chain_of_[chain.index] = index_of(chain.chain);
  }
  void sent(Instant now, PortId, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) {
      if (packet.chain >= chain_of_.size()) continue;
      interval_[chain_of_[packet.chain]].add(now - instant_from_ns(packet.arrival));
    }
  }

  /// What passed `chain` since end_interval().
  [[nodiscard]] const LatencyHistogram& interval(std::size_t chain) const {
    return interval_[chain];
  }
  void end_interval() {
    for (std::size_t i = 0; i < interval_.size(); ++i) {
      if (interval_[i].count() == 0) continue;
      total_[i].merge(interval_[i]);
      interval_[i].reset();
    }
  }
  [[nodiscard]] const LatencyHistogram& total(std::size_t chain) const { return total_[chain]; }
  /// Forgets what was before: the end of a warm-up.
  void reset_total() {
    for (LatencyHistogram& each : total_) each.reset();
  }

 private:
  std::vector<std::uint16_t> chain_of_;  ///< By chain version index.
  std::vector<LatencyHistogram> interval_;
  std::vector<LatencyHistogram> total_;
};

}  // namespace sluice::sim
