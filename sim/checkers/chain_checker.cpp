#include "sim/checkers/chain_checker.hpp"

#include <fmt/format.h>

namespace sluice::sim {
namespace {

constexpr std::uint32_t bit(DropReason reason) {
  return 1u << static_cast<unsigned>(reason);
}

/// What may end a packet anywhere between two steps, whatever its NF said.
constexpr std::uint32_t kOnTheWay =
    bit(DropReason::kRingFull) | bit(DropReason::kNoInstance) | bit(DropReason::kInstanceDied) |
    bit(DropReason::kInstanceStopped) | bit(DropReason::kTtl) | bit(DropReason::kMtu) |
    bit(DropReason::kHopLimit) | bit(DropReason::kNoBuffer) | bit(DropReason::kPortFull) |
    bit(DropReason::kNoPort) | bit(DropReason::kWorkerRing) | bit(DropReason::kUnknownPeer) |
    bit(DropReason::kShutdown) | bit(DropReason::kBadDescriptor) | bit(DropReason::kHoldLimit) |
    bit(DropReason::kFlowEnded);
/// What may end it before it has a chain.
constexpr std::uint32_t kAtEntry = kOnTheWay | bit(DropReason::kParseError) |
                                   bit(DropReason::kNoChain) | bit(DropReason::kTableFull) |
                                   bit(DropReason::kFragmentTable);
/// What may end it in the hands of an instance.
constexpr std::uint32_t kInHands = bit(DropReason::kInstanceDied) |
                                   bit(DropReason::kInstanceStopped) | bit(DropReason::kShutdown) |
                                   bit(DropReason::kBadDescriptor) | bit(DropReason::kHoldLimit);

}  // namespace

void ChainChecker::published(const ChainVersion& chain) {
  if (routes_.size() <= chain.index) routes_.resize(std::size_t{chain.index} + 1);
  routes_[chain.index] = {index_of(chain.to), chain.steps};
}

void ChainChecker::instance_started(InstanceId instance, ServiceId service) noexcept {
  if (index_of(instance) < service_of_.size()) service_of_[index_of(instance)] = index_of(service);
}

void ChainChecker::wrong(Instant now, const Packet& packet, std::string_view text) {
  log_.report(Property::kChainOrder, now,
              fmt::format("packet in buffer {} (chain {}, step {}, flow {}): {}", packet.buffer,
                          packet.chain, packet.step, packet.flow, text));
}

ChainChecker::Shadow* ChainChecker::shadow_of(Instant now, const Packet& packet,
                                              const char* what) noexcept {
  if (packet.buffer < shadows_.size()) [[likely]]
    return &shadows_[packet.buffer];
  wrong(now, packet, fmt::format("{} with a buffer that does not exist", what));
  return nullptr;
}

const ChainChecker::Route* ChainChecker::route_of(const Shadow& shadow) const noexcept {
  if (shadow.chain >= routes_.size()) return nullptr;
  const Route& route = routes_[shadow.chain];
  return shadow.step < route.steps.size() ? &route : nullptr;
}

/// Where the packet has to go now. Copy steps on the way are not looked through.
Hop ChainChecker::expected_hop(const Shadow& shadow, const Route& route) const noexcept {
  if (shadow.phase == Phase::kAt) return {Hop::Kind::kStep, shadow.step};
  if (shadow.verdict == Verdict::kToService) {
    for (std::size_t i = std::size_t{shadow.step} + 1; i < route.steps.size(); ++i) {
      if (index_of(route.steps[i].service) == shadow.target) {
        return {Hop::Kind::kStep, static_cast<std::uint8_t>(i)};
      }
    }
    return {Hop::Kind::kDrop, 0};
  }
  const Step& step = route.steps[shadow.step];
  for (const Branch& branch : step.branches) {
    if ((branch.label_bits & shadow.tag) != 0) return branch.hop;
  }
  return step.next;
}

/// Where the packet has to go, when that follows from its step alone: the usual case, which the
/// packets of a batch share. Nothing: check each as it is.
std::optional<Hop> ChainChecker::plain_hop(const Shadow& shadow) const noexcept {
  const Route* route = route_of(shadow);
  if (route == nullptr || shadow.is_copy) return std::nullopt;
  const bool enters = shadow.phase == Phase::kAt;
  const bool goes_on = shadow.phase == Phase::kAfter && shadow.verdict == Verdict::kNext &&
                       route->steps[shadow.step].branches.empty();
  if (!enters && !goes_on) return std::nullopt;
  const Hop hop = expected_hop(shadow, *route);
  if (hop.kind == Hop::Kind::kStep && route->steps[hop.step].copy) return std::nullopt;
  return hop;
}

/// Whether plain_hop() of both is the same.
bool ChainChecker::is_same(const Shadow& a, const Shadow& b) noexcept {
  return a.chain == b.chain && a.step == b.step && a.phase == b.phase && a.verdict == b.verdict &&
         a.is_copy == b.is_copy;
}

std::uint16_t ChainChecker::service_at(std::uint16_t chain, std::uint8_t step) const noexcept {
  return index_of(routes_[chain].steps[step].service);
}

bool ChainChecker::same_packet(Instant now, const Shadow& shadow, const Packet& packet,
                               const char* what) noexcept {
  if (packet.chain == shadow.chain && packet.tag == shadow.tag) [[likely]]
    return true;
  if (packet.chain != shadow.chain) {
    log_.report(Property::kVersionFixed, now,
                fmt::format("buffer {} is {} with chain {}, but was classified into {}",
                            packet.buffer, what, packet.chain, shadow.chain));
  } else {
    wrong(now, packet,
          fmt::format("{} with labels {:#x}, but it came back with {:#x}", what, packet.tag,
                      shadow.tag));
  }
  return false;
}

void ChainChecker::received(Instant now, std::span<const Packet> packets) noexcept {
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "received");
    if (shadow == nullptr) continue;
    *shadow = Shadow{};
    shadow->phase = Phase::kFresh;
  }
}

void ChainChecker::generated(Instant now, InstanceId instance,
                             std::span<const Packet> packets) noexcept {
  (void)instance;
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "generated");
    if (shadow == nullptr) continue;
    *shadow = Shadow{};
    shadow->phase = Phase::kMade;
  }
}

void ChainChecker::classified(Instant now, std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kChainOrder, packets.size());
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "classified");
    if (shadow == nullptr) continue;
    const bool fresh = shadow->phase == Phase::kFresh;
    if (!fresh && shadow->phase != Phase::kMade) [[unlikely]] {
      wrong(now, packet, "classified a second time, or without having been received");
    }
    shadow->chain = packet.chain;
    shadow->tag = packet.tag;
    shadow->step = packet.step;
    if (packet.chain == 0xffff) {
      shadow->phase = Phase::kPassing;
      continue;
    }
    if (route_of(*shadow) == nullptr) [[unlikely]] {
      wrong(now, packet, "classified into a chain or step that was never published");
    }
    if (fresh && packet.step != 0) [[unlikely]] {
      wrong(now, packet, "classified, but does not enter at step 0");
    }
    shadow->phase = fresh ? Phase::kAt : Phase::kAfter;
    shadow->verdict = packet.verdict;
    shadow->target = packet.target;
  }
}

void ChainChecker::copied(Instant now, const Packet& original, const Packet& copy) noexcept {
  log_.evaluated(Property::kChainOrder);
  Shadow* from = shadow_of(now, original, "copied");
  Shadow* to = shadow_of(now, copy, "made as a copy");
  if (from == nullptr || to == nullptr) return;
  const Route* route = route_of(*from);
  const bool waits = from->phase == Phase::kAt || from->phase == Phase::kAfter;
  if (!waits || route == nullptr) {
    wrong(now, original, "copied while it waits for no step");
    return;
  }
  Hop hop = expected_hop(*from, *route);
  // Copy steps before this one may have had no buffer.
  while (hop.kind == Hop::Kind::kStep && hop.step != copy.step && route->steps[hop.step].copy) {
    ++copies_skipped_;
    hop = route->steps[hop.step].next;
  }
  if (hop.kind != Hop::Kind::kStep || hop.step != copy.step || !route->steps[hop.step].copy) {
    wrong(now, copy, "copied, but the chain copies nothing here");
    return;
  }
  *to = *from;
  to->phase = Phase::kAt;
  to->step = copy.step;
  to->is_copy = true;
  from->phase = Phase::kAfter;
  from->step = copy.step;
  from->verdict = Verdict::kNext;
  from->tag = original.tag;
}

void ChainChecker::check_delivery(Instant now, Shadow& shadow, const Packet& packet,
                                  InstanceId instance, std::uint16_t service) {
  const bool waits = shadow.phase == Phase::kAt ||
                     (shadow.phase == Phase::kAfter &&
                      (shadow.verdict == Verdict::kNext || shadow.verdict == Verdict::kToService));
  const Route* route = route_of(shadow);
  if (!waits || route == nullptr) {
    wrong(now, packet, fmt::format("delivered to instance {} out of turn", index_of(instance)));
    return;
  }
  if (!same_packet(now, shadow, packet, "delivered")) return;
  Hop hop = expected_hop(shadow, *route);
  while (!shadow.is_copy && hop.kind == Hop::Kind::kStep && route->steps[hop.step].copy) {
    ++copies_skipped_;
    hop = route->steps[hop.step].next;
  }
  if (hop.kind != Hop::Kind::kStep) {
    wrong(now, packet,
          fmt::format("delivered to instance {}, but should have {}", index_of(instance),
                      hop.kind == Hop::Kind::kOut ? "left" : "been dropped"));
  } else if (hop.step != packet.step) {
    wrong(now, packet,
          fmt::format("delivered at step {}, but step {} is next", packet.step, hop.step));
  } else if (index_of(route->steps[hop.step].service) != service) {
    wrong(now, packet,
          fmt::format("delivered to instance {} of service {}, but the step is service {}",
                      index_of(instance), service, index_of(route->steps[hop.step].service)));
  }
}

void ChainChecker::delivered(Instant now, InstanceId instance,
                             std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kChainOrder, packets.size());
  log_.evaluated(Property::kVersionFixed, packets.size());
  const std::uint16_t service =
      index_of(instance) < service_of_.size() ? service_of_[index_of(instance)] : 0xffff;
  Shadow seen;
  std::optional<Hop> hop;  // Of `seen`.
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "delivered");
    if (shadow == nullptr) continue;
    if (!is_same(*shadow, seen)) {
      seen = *shadow;
      hop = plain_hop(seen);
      if (hop && (hop->kind != Hop::Kind::kStep || service_at(seen.chain, hop->step) != service)) {
        hop.reset();
      }
    }
    const bool right = hop && packet.chain == shadow->chain && packet.tag == shadow->tag &&
                       packet.step == hop->step;
    if (!right) check_delivery(now, *shadow, packet, instance, service);
    shadow->step = packet.step;
    shadow->phase = Phase::kInside;
  }
}

void ChainChecker::returned(Instant now, InstanceId instance,
                            std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kChainOrder, packets.size());
  log_.evaluated(Property::kVersionFixed, packets.size());
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "returned");
    if (shadow == nullptr) continue;
    if (shadow->phase != Phase::kInside || packet.step != shadow->step) [[unlikely]] {
      wrong(now, packet,
            fmt::format("returned by instance {} at a step where it is not", index_of(instance)));
    } else if (packet.verdict == Verdict::kHold) [[unlikely]] {
      wrong(now, packet, "returned with the verdict hold");
    } else if (packet.chain != shadow->chain) [[unlikely]] {
      log_.report(Property::kVersionFixed, now,
                  fmt::format("buffer {} is returned with chain {}, but was classified into {}",
                              packet.buffer, packet.chain, shadow->chain));
    }
    shadow->tag = packet.tag;
    shadow->target = packet.target;
    shadow->verdict = packet.verdict;
    shadow->phase = shadow->is_copy ? Phase::kCopyDone : Phase::kAfter;
  }
}

void ChainChecker::check_sending(Instant now, const Shadow& shadow, const Packet& packet,
                                 PortId port) {
  if (shadow.phase == Phase::kPassing) return;
  const Route* route = route_of(shadow);
  const bool waits = shadow.phase == Phase::kAfter || shadow.phase == Phase::kAt;
  if (!waits || route == nullptr || shadow.is_copy) {
    wrong(now, packet, fmt::format("sent by port {} out of turn", index_of(port)));
    return;
  }
  if (!same_packet(now, shadow, packet, "sent")) return;
  if (shadow.phase == Phase::kAfter && shadow.verdict == Verdict::kOut) {
    if (index_of(port) != shadow.target) {
      wrong(now, packet,
            fmt::format("sent by port {}, but the verdict names port {}", index_of(port),
                        shadow.target));
    }
    return;
  }
  if (shadow.phase == Phase::kAfter && shadow.verdict != Verdict::kNext) {
    wrong(now, packet, "sent, but its verdict is neither next nor out");
    return;
  }
  Hop hop = expected_hop(shadow, *route);
  while (hop.kind == Hop::Kind::kStep && route->steps[hop.step].copy) {
    ++copies_skipped_;
    hop = route->steps[hop.step].next;
  }
  if (hop.kind == Hop::Kind::kStep) {
    wrong(now, packet, fmt::format("sent by port {} before step {}", index_of(port), hop.step));
  } else if (hop.kind == Hop::Kind::kDrop) {
    wrong(now, packet, "sent, but its branch says drop");
  } else if (index_of(port) != route->to_port) {
    wrong(now, packet,
          fmt::format("sent by port {}, but the chain ends at port {}", index_of(port),
                      route->to_port));
  }
}

void ChainChecker::sent(Instant now, PortId port, std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kChainOrder, packets.size());
  Shadow seen;
  std::optional<Hop> hop;  // Of `seen`.
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "sent");
    if (shadow == nullptr) continue;
    if (!is_same(*shadow, seen)) {
      seen = *shadow;
      hop = plain_hop(seen);
      if (hop && (hop->kind != Hop::Kind::kOut || routes_[seen.chain].to_port != index_of(port))) {
        hop.reset();
      }
    }
    const bool right = hop && packet.chain == shadow->chain && packet.tag == shadow->tag;
    if (!right) check_sending(now, *shadow, packet, port);
    shadow->phase = Phase::kAbsent;
  }
}

void ChainChecker::check_drop(Instant now, const Shadow& shadow, const Packet& packet,
                              DropReason reason) {
  bool right = false;
  switch (shadow.phase) {
    case Phase::kAbsent:
      right = false;
      break;
    case Phase::kFresh:
    case Phase::kMade:
    case Phase::kPassing:
      right = (kAtEntry & bit(reason)) != 0;
      break;
    case Phase::kInside:
      right = (kInHands & bit(reason)) != 0;
      break;
    case Phase::kCopyDone:
      right = reason == DropReason::kCopyDone || (kOnTheWay & bit(reason)) != 0;
      break;
    case Phase::kAt:
    case Phase::kAfter:
      right = (kOnTheWay & bit(reason)) != 0;
      break;
  }
  if (shadow.phase == Phase::kAfter && !right) {
    if (shadow.verdict == Verdict::kDrop) {
      right = true;
    } else if (shadow.verdict == Verdict::kUndecided) {
      right = reason == DropReason::kUndecided;
    }
  }
  // A branch to drop, straight after a step, or behind copy steps that lead to it.
  const Route* route = route_of(shadow);
  if (!right && route != nullptr && reason == DropReason::kRule &&
      (shadow.phase == Phase::kAt || shadow.phase == Phase::kAfter)) {
    Hop hop = expected_hop(shadow, *route);
    while (hop.kind == Hop::Kind::kStep && route->steps[hop.step].copy) {
      ++copies_skipped_;
      hop = route->steps[hop.step].next;
    }
    right = hop.kind == Hop::Kind::kDrop;
  }
  if (!right)
    wrong(now, packet,
          fmt::format("dropped for reason {}, which nothing here gives",
                      static_cast<unsigned>(reason)));
}

void ChainChecker::dropped(Instant now, std::span<const Packet> packets,
                           DropReason reason) noexcept {
  log_.evaluated(Property::kChainOrder, packets.size());
  for (const Packet& packet : packets) {
    Shadow* shadow = shadow_of(now, packet, "dropped");
    if (shadow == nullptr) continue;
    check_drop(now, *shadow, packet, reason);
    shadow->phase = Phase::kAbsent;
  }
}

}  // namespace sluice::sim
