#include "backends/ns3/burst_link.hpp"

#include <algorithm>
#include <utility>

#include "backends/ns3/sim_time.hpp"
#include "core/check.hpp"

namespace sluice {

void BurstLink::attach(const Options& options, std::shared_ptr<BurstPool> pool,
                       BurstReceiver* receiver) {
  SLUICE_CHECK(options.burst_max > 0);
  SLUICE_CHECK(pool->options().frame_count_max >= options.burst_max);
  options_ = options;
  pool_ = std::move(pool);
  receiver_ = receiver;
}

void BurstLink::carry(std::span<const std::byte> frame, Instant departure,
                      const ns3::Packet* origin) {
  ++counters_.entered;
  if (faulty_) [[unlikely]] {
    carry_faulty(frame, departure, origin);
  } else {
    append(frame, departure + options_.delay, origin);
  }
}

void BurstLink::carry_faulty(std::span<const std::byte> frame, Instant departure,
                             const ns3::Packet* origin) {
  if (faults_.down) {
    ++counters_.lost_down;
    return;
  }
  if (happens(faults_.loss)) {
    ++counters_.lost;
    return;
  }
  if (faults_.delay_extra > Duration{0}) ++counters_.delayed;
  const Instant arrival = departure + options_.delay + faults_.delay_extra;
  if (happens(faults_.reorder)) {
    ++counters_.reordered;
    carry_late(frame, arrival + faults_.reorder_delay, origin);
  } else {
    append(frame, arrival, origin);
  }
  if (happens(faults_.duplicate)) {
    ++counters_.duplicated;
    append(frame, arrival, origin);
  }
}

void BurstLink::append(std::span<const std::byte> frame, Instant arrival,
                       const ns3::Packet* origin) {
  // When an extra delay ends, what follows must not overtake: order is broken by `reorder` alone.
  arrival = std::max(arrival, last_arrival_);
  last_arrival_ = arrival;
  const bool joins = !wire_.empty() && wire_.back()->size() < options_.burst_max &&
                     arrival - wire_.back()->frames().front().arrival <= options_.burst_window;
  if (!joins) wire_.push_back(pool_->acquire());
  wire_.back()->append(frame, arrival, origin);
}

void BurstLink::carry_late(std::span<const std::byte> frame, Instant arrival,
                           const ns3::Packet* origin) {
  late_.push_back(pool_->acquire());
  late_.back()->append(frame, arrival, origin);
  schedule_late(*late_.back());
}

void BurstLink::schedule_late(const Burst& burst) {
  ns3::Simulator::ScheduleWithContext(options_.node, time_until(burst.frames().back().arrival),
                                      &BurstLink::deliver_late, this, generation_);
}

void BurstLink::flush() {
  for (; scheduled_count_ < wire_.size(); ++scheduled_count_) {
    const Instant end = wire_[scheduled_count_]->frames().back().arrival;
    ns3::Simulator::ScheduleWithContext(options_.node, time_until(end), &BurstLink::deliver_front,
                                        this, generation_);
  }
}

void BurstLink::deliver_front(std::uint32_t generation) {
  if (generation != generation_) return;
  // Every burst has one event, and none ends after the next one starts, so the due one is in front.
  const Instant end = wire_.front()->frames().back().arrival;
  if (end > simulated_now()) {
    ns3::Simulator::ScheduleWithContext(options_.node, time_until(end), &BurstLink::deliver_front,
                                        this, generation_);
    return;
  }
  BurstPtr burst = std::move(wire_.front());
  wire_.pop_front();
  --scheduled_count_;
  deliver(std::move(burst));
}

void BurstLink::deliver_late(std::uint32_t generation) {
  if (generation != generation_) return;
  const Instant now = simulated_now();
  const auto due = std::find_if(late_.begin(), late_.end(), [now](const BurstPtr& burst) {
    return burst->frames().back().arrival <= now;
  });
  SLUICE_CHECK(due != late_.end());
  BurstPtr burst = std::move(*due);
  late_.erase(due);
  deliver(std::move(burst));
}

void BurstLink::deliver(BurstPtr burst) {
  counters_.delivered += burst->size();
  ++counters_.bursts;
  receiver_->receive_burst(std::move(burst));
}

void BurstLink::set_faults(const LinkFaults& faults) {
  if (faults.down && !faults_.down) cut();
  faults_ = faults;
  faulty_ = faults != LinkFaults{};
}

void BurstLink::cut() {
  const Instant now = simulated_now();
  const auto lose = [this, now](const BurstPtr& burst) {
    counters_.lost_down += burst->cut_after(now);
    return burst->empty();
  };
  std::erase_if(wire_, lose);
  std::erase_if(late_, lose);
  last_arrival_ = std::min(last_arrival_, now);
  ++generation_;
  scheduled_count_ = 0;
  flush();
  for (const BurstPtr& burst : late_) schedule_late(*burst);
}

bool BurstLink::happens(Ppm probability) noexcept {
  return probability.value != 0 && prng_.below(kPpmOne.value) < probability.value;
}

}  // namespace sluice
