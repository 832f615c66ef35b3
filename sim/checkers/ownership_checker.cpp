#include "sim/checkers/ownership_checker.hpp"

#include <fmt/format.h>

#include <string>

namespace sluice::sim {
namespace {

std::string owner_text(std::uint32_t owner) {
  switch (owner >> 16) {
    case 0:
      return "nobody";
    case 1:
      return "the worker";
    case 2:
      return fmt::format("instance {}", owner & 0xffff);
    default:
      return fmt::format("instance {} (lent)", owner & 0xffff);
  }
}

/// Reasons for which a buffer may be taken out of an instance's hands without coming back.
bool takes_from_instance(DropReason reason) {
  return reason == DropReason::kInstanceDied || reason == DropReason::kInstanceStopped ||
         reason == DropReason::kShutdown || reason == DropReason::kBadDescriptor ||
         reason == DropReason::kHoldLimit;
}

}  // namespace

void OwnershipChecker::wrong(Instant now, std::uint32_t buffer, Owner from, const char* what) {
  if (buffer >= owners_.size()) {
    log_.report(
        Property::kSingleOwner, now,
        fmt::format("buffer {} is {}, but there are only {}", buffer, what, owners_.size()));
    return;
  }
  log_.report(Property::kSingleOwner, now,
              fmt::format("buffer {} is {}; its owner is {}, and should be {}", buffer, what,
                          owner_text(owners_[buffer]), owner_text(from)));
}

void OwnershipChecker::move(Instant now, std::uint32_t buffer, Owner from, Owner to,
                            const char* what) noexcept {
  if (buffer >= owners_.size() || owners_[buffer] != from) [[unlikely]] {
    wrong(now, buffer, from, what);
    if (buffer >= owners_.size()) return;
  }
  owners_[buffer] = to;
}

void OwnershipChecker::received(Instant now, std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kSingleOwner, packets.size());
  for (const Packet& packet : packets) move(now, packet.buffer, kFree, kWorker, "received");
}

void OwnershipChecker::copied(Instant now, const Packet& original, const Packet& copy) noexcept {
  log_.evaluated(Property::kSingleOwner, 2);
  move(now, original.buffer, kWorker, kWorker, "copied");
  move(now, copy.buffer, kFree, kWorker, "made as a copy");
}

void OwnershipChecker::delivered(Instant now, InstanceId instance,
                                 std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kSingleOwner, packets.size());
  const Owner to = kInstance | index_of(instance);
  for (const Packet& packet : packets) move(now, packet.buffer, kWorker, to, "delivered");
}

void OwnershipChecker::returned(Instant now, InstanceId instance,
                                std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kSingleOwner, packets.size());
  const Owner from = kInstance | index_of(instance);
  for (const Packet& packet : packets) move(now, packet.buffer, from, kWorker, "returned");
}

void OwnershipChecker::generated(Instant now, InstanceId instance,
                                 std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kSingleOwner, packets.size());
  const Owner from = kLent | index_of(instance);
  for (const Packet& packet : packets) move(now, packet.buffer, from, kWorker, "generated");
}

void OwnershipChecker::sent(Instant now, std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kSingleOwner, packets.size());
  for (const Packet& packet : packets) move(now, packet.buffer, kWorker, kFree, "sent");
}

void OwnershipChecker::dropped(Instant now, std::span<const Packet> packets,
                               DropReason reason) noexcept {
  log_.evaluated(Property::kSingleOwner, packets.size());
  const bool from_instance = takes_from_instance(reason);
  for (const Packet& packet : packets) {
    Owner from = kWorker;
    if (from_instance && packet.buffer < owners_.size() &&
        (owners_[packet.buffer] & ~0xffffu) == kInstance) {
      from = owners_[packet.buffer];
    }
    move(now, packet.buffer, from, kFree, "dropped");
  }
}

void OwnershipChecker::lent(Instant now, InstanceId instance,
                            std::span<const std::uint32_t> buffers) noexcept {
  log_.evaluated(Property::kSingleOwner, buffers.size());
  for (const auto buffer : buffers) move(now, buffer, kFree, kLent | index_of(instance), "lent");
}

void OwnershipChecker::unlent(Instant now, InstanceId instance,
                              std::span<const std::uint32_t> buffers) noexcept {
  log_.evaluated(Property::kSingleOwner, buffers.size());
  const Owner from = kLent | index_of(instance);
  for (const auto buffer : buffers) move(now, buffer, from, kFree, "taken back as lent");
}

void OwnershipChecker::end(Instant now) noexcept {
  log_.evaluated(Property::kNothingLeft, owners_.size());
  for (std::uint32_t buffer = 0; buffer < owners_.size(); ++buffer) {
    if (owners_[buffer] == kFree) continue;
    log_.report(Property::kNothingLeft, now,
                fmt::format("buffer {} still belongs to {} at the end", buffer,
                            owner_text(owners_[buffer])));
  }
}

}  // namespace sluice::sim
