#include "sim/checkers/liveness_checker.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::sim {
namespace {

constexpr Duration kScanInterval = std::chrono::milliseconds{10};
constexpr std::uint16_t kNobody = 0xffff;

}  // namespace

LivenessChecker::LivenessChecker(const Options& options, std::uint32_t buffer_count,
                                 ViolationLog& log)
    : options_(options),
      hands_(options.instance_count_max),
      since_ns_(buffer_count, kNowhere),
      holder_(buffer_count, kNobody),
      log_(log) {}

void LivenessChecker::instance_started(InstanceId instance, std::uint32_t held_max,
                                       std::uint32_t lent_max) {
  if (index_of(instance) >= hands_.size()) return;
  Hands fresh;
  fresh.held_max = held_max;
  fresh.lent_max = lent_max;
  hands_[index_of(instance)] = fresh;
}

void LivenessChecker::instance_ended(InstanceId instance) noexcept {
  if (index_of(instance) >= hands_.size()) return;
  hands_[index_of(instance)].held = 0;
  hands_[index_of(instance)].lent = 0;
}

void LivenessChecker::report_time(Instant now) {
  log_.report(Property::kTimeMonotonic, now,
              fmt::format("time goes back from {} to {} ns", to_ns(last_), to_ns(now)));
}

bool LivenessChecker::too_long(Instant since, Instant now) const noexcept {
  return now - std::max(since, options_.faults_end) > options_.progress_max;
}

void LivenessChecker::enter(Instant now, std::uint32_t buffer) noexcept {
  if (buffer < since_ns_.size()) since_ns_[buffer] = now.time_since_epoch().count();
}

void LivenessChecker::leave(std::uint32_t buffer) noexcept {
  if (buffer >= since_ns_.size()) return;
  since_ns_[buffer] = kNowhere;
  if (holder_[buffer] != kNobody) {  // Dropped out of an instance's hands.
    Hands& hands = hands_[holder_[buffer]];
    if (hands.held > 0) --hands.held;
    holder_[buffer] = kNobody;
  }
}

void LivenessChecker::received(Instant now, std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kTimeMonotonic, packets.size());
  const std::uint64_t now_ns = to_ns(now);
  for (const Packet& packet : packets) {
    enter(now, packet.buffer);
    if (packet.arrival <= now_ns) [[likely]]
      continue;
    log_.report(Property::kTimeMonotonic, now,
                fmt::format("buffer {} is handled {} ns before its packet arrives", packet.buffer,
                            packet.arrival - now_ns));
  }
}

void LivenessChecker::copied(Instant now, const Packet& copy) noexcept {
  enter(now, copy.buffer);
}

void LivenessChecker::delivered(Instant now, InstanceId instance,
                                std::span<const Packet> packets) noexcept {
  if (index_of(instance) >= hands_.size()) return;
  Hands& hands = hands_[index_of(instance)];
  if (hands.held == 0) hands.progress = now;
  hands.held += static_cast<std::uint32_t>(packets.size());
  for (const Packet& packet : packets) {
    if (packet.buffer < holder_.size()) holder_[packet.buffer] = index_of(instance);
  }
  log_.evaluated(Property::kHeldBounded);
  if (hands.held <= hands.held_max) [[likely]]
    return;
  log_.report(Property::kHeldBounded, now,
              fmt::format("instance {} has {} packets in its hands, but at most {} are allowed",
                          index_of(instance), hands.held, hands.held_max));
}

void LivenessChecker::returned(Instant now, InstanceId instance,
                               std::span<const Packet> packets) noexcept {
  if (index_of(instance) >= hands_.size()) return;
  Hands& hands = hands_[index_of(instance)];
  log_.evaluated(Property::kProgress);
  if (hands.held > 0 && too_long(hands.progress, now) && !hands.reported) {
    log_.report(Property::kProgress, now,
                fmt::format("instance {} returned nothing for {} ns, with {} packets",
                            index_of(instance), (now - hands.progress).count(), hands.held));
  }
  hands.progress = now;
  hands.reported = false;
  hands.held -= std::min(hands.held, static_cast<std::uint32_t>(packets.size()));
  for (const Packet& packet : packets) {
    if (packet.buffer < holder_.size()) holder_[packet.buffer] = kNobody;
  }
}

void LivenessChecker::generated(Instant now, InstanceId instance,
                                std::span<const Packet> packets) noexcept {
  for (const Packet& packet : packets) enter(now, packet.buffer);
  unlent(instance, packets.size());
}

void LivenessChecker::sent(std::span<const Packet> packets) noexcept {
  for (const Packet& packet : packets) leave(packet.buffer);
}

void LivenessChecker::dropped(std::span<const Packet> packets) noexcept {
  for (const Packet& packet : packets) leave(packet.buffer);
}

void LivenessChecker::lent(Instant now, InstanceId instance, std::size_t count) noexcept {
  if (index_of(instance) >= hands_.size()) return;
  Hands& hands = hands_[index_of(instance)];
  hands.lent += static_cast<std::uint32_t>(count);
  log_.evaluated(Property::kHeldBounded);
  if (hands.lent <= hands.lent_max) return;
  log_.report(Property::kHeldBounded, now,
              fmt::format("instance {} was lent {} buffers, but at most {} are allowed",
                          index_of(instance), hands.lent, hands.lent_max));
}

void LivenessChecker::unlent(InstanceId instance, std::size_t count) noexcept {
  if (index_of(instance) >= hands_.size()) return;
  std::uint32_t& lent_now = hands_[index_of(instance)].lent;
  lent_now -= std::min(lent_now, static_cast<std::uint32_t>(count));
}

void LivenessChecker::ring_seen(Instant now, InstanceId instance, std::uint32_t entries,
                                std::uint32_t capacity) {
  log_.evaluated(Property::kRingBounded);
  if (entries <= capacity) return;
  log_.report(Property::kRingBounded, now,
              fmt::format("the ring of instance {} has {} entries, but its capacity is {}",
                          index_of(instance), entries, capacity));
}

void LivenessChecker::scan(Instant now) noexcept {
  next_scan_ = now + kScanInterval;
  for (std::size_t i = 0; i < hands_.size(); ++i) {
    Hands& hands = hands_[i];
    if (hands.held == 0) continue;
    log_.evaluated(Property::kProgress);
    if (hands.reported || !too_long(hands.progress, now)) continue;
    hands.reported = true;
    log_.report(Property::kProgress, now,
                fmt::format("instance {} returned nothing for {} ns, with {} packets", i,
                            (now - hands.progress).count(), hands.held));
  }
  if (now < next_buffer_scan_) return;
  next_buffer_scan_ = now + std::max(options_.progress_max / 4, Duration{1});
  scan_buffers(now);
}

void LivenessChecker::scan_buffers(Instant now) {
  std::uint64_t present = 0;
  for (std::size_t buffer = 0; buffer < since_ns_.size(); ++buffer) {
    if (since_ns_[buffer] == kNowhere) continue;
    ++present;
    const Instant since{Duration{since_ns_[buffer]}};
    if (!too_long(since, now)) continue;
    log_.report(
        Property::kHoldTime, now,
        fmt::format("the packet in buffer {} is here for {} ns", buffer, (now - since).count()));
    since_ns_[buffer] = now.time_since_epoch().count();  // Reported: once a limit is enough.
  }
  log_.evaluated(Property::kHoldTime, present);
}

void LivenessChecker::end(Instant now) noexcept {
  at(now);
  scan(now);
  scan_buffers(now);
}

}  // namespace sluice::sim
