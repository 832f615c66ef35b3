#pragma once

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/host/observer.hpp"
#include "tests/sim/simulation/support.hpp"

namespace sluice::test {

/// What instances do and where the packets of each flow go, from events alone.
class InstanceWatch final : public Observer {
 public:
  struct Life {
    InstanceId instance{};
    ServiceId service{};
    Instant started{};
    Instant draining = Instant::max();
    Instant ended = Instant::max();
    bool died = false;
    Instant last_returned{};
    std::uint64_t delivered = 0;
    std::uint64_t returned = 0;
  };

  void delivered(Instant, InstanceId instance, std::span<const Packet> packets) override {
    lives_[living_.at(instance)].delivered += packets.size();
    for (const Packet& packet : packets) {
      auto [place, is_new] = place_of_.try_emplace({packet.flow, packet.step}, instance);
      if (!is_new && place->second != instance) ++moves_;
      place->second = instance;
      ++placed_packets_;
    }
  }
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) override {
    Life& life = lives_[living_.at(instance)];
    life.returned += packets.size();
    life.last_returned = now;
  }
  void dropped(Instant, std::span<const Packet> packets, DropReason reason) override {
    drops_[reason] += packets.size();
  }
  void flow_repinned(Instant now, FlowId, std::uint8_t, Pin, Pin, RepinCause) override {
    ++repins_;
    last_repin_ = now;
  }
  void flow_ended(Instant, FlowId flow) override {
    ++flows_ended_;
    place_of_.erase(place_of_.lower_bound({flow, 0}), place_of_.upper_bound({flow, 255}));
  }
  void instance_started(Instant now, InstanceId instance, ServiceId service) override {
    living_[instance] = lives_.size();
    lives_.push_back({.instance = instance, .service = service, .started = now});
    present_max_ = std::max(present_max_, ++present_);
  }
  void instance_draining(Instant now, InstanceId instance) override {
    lives_[living_.at(instance)].draining = now;
    draining_max_ = std::max(draining_max_, ++draining_now_);
  }
  void instance_ended(Instant now, InstanceId instance, bool died) override {
    Life& life = lives_[living_.at(instance)];
    life.ended = now;
    life.died = died;
    if (life.draining != Instant::max()) --draining_now_;
    --present_;
    living_.erase(instance);
  }

  [[nodiscard]] const std::vector<Life>& lives() const { return lives_; }
  /// Packets of a living flow that met another instance than the one before them.
  [[nodiscard]] std::uint64_t moves() const { return moves_; }
  [[nodiscard]] std::uint64_t placed_packets() const { return placed_packets_; }
  [[nodiscard]] std::uint64_t flows_ended() const { return flows_ended_; }
  [[nodiscard]] std::uint64_t repins() const { return repins_; }
  [[nodiscard]] Instant last_repin() const { return last_repin_; }
  [[nodiscard]] int draining_max() const { return draining_max_; }
  [[nodiscard]] int present_max() const { return present_max_; }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const {
    const auto found = drops_.find(reason);
    return found == drops_.end() ? 0 : found->second;
  }

 private:
  std::vector<Life> lives_;
  std::map<InstanceId, std::size_t> living_;  ///< Instance numbers are used again.
  std::map<std::pair<FlowId, std::uint8_t>, InstanceId> place_of_;
  std::map<DropReason, std::uint64_t> drops_;
  std::uint64_t moves_ = 0, placed_packets_ = 0, flows_ended_ = 0, repins_ = 0;
  Instant last_repin_{};
  int draining_now_ = 0, draining_max_ = 0, present_ = 0, present_max_ = 0;
};

inline sim::SimulationResult watched(const std::string& yaml, InstanceWatch& watch) {
  sim::SimulationOptions options;
  options.observer = &watch;
  return run(yaml, options);
}

}  // namespace sluice::test
