#include "core/function/network_function.hpp"

namespace sluice {

std::optional<Packet> Context::make(std::uint16_t length) noexcept {
  if (lent_.empty() || std::uint32_t{kHeadroom} + length > memory_.buffer_size()) {
    return std::nullopt;
  }
  Packet packet{};
  packet.buffer = lent_.back();
  lent_.pop_back();
  packet.offset = kHeadroom;
  packet.length = length;
  packet.flow = kNoFlow;
  packet.chain = 0xffff;
  packet.ingress = 0xffff;
  packet.arrival = to_ns(now_);
  return packet;
}

bool Context::release(const Packet& packet) noexcept {
  if (outbox_.size() >= kOutboxCapacity) return false;
  outbox_.push_back(packet);
  return true;
}

std::uint32_t Context::release_room() const noexcept {
  return kOutboxCapacity - static_cast<std::uint32_t>(outbox_.size());
}

}  // namespace sluice
