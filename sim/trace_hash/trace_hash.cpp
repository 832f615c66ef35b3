#include "sim/trace_hash/trace_hash.hpp"

#include <fmt/format.h>

#include <cstring>

namespace sluice::sim {
namespace {

__extension__ using Wide = unsigned __int128;

// Odd numbers without structure: digits of pi (hexadecimal), made odd.
constexpr std::uint64_t kKey0 = 0x243f6a8885a308d3u;
constexpr std::uint64_t kKey1 = 0x13198a2e03707345u;
constexpr std::uint64_t kKey2 = 0xa4093822299f31d1u;
constexpr std::uint64_t kKey3 = 0x082efa98ec4e6c89u;
constexpr std::uint64_t kKey4 = 0x452821e638d01377u;

/// Both halves of the product: every bit of each factor reaches the result.
constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Order counts, since the state so far is multiplied before the next word comes.
constexpr std::uint64_t chain_on(std::uint64_t state, std::uint64_t word) {
  return (((state << 23) | (state >> 41)) ^ word) * kKey4;
}

enum Kind : std::uint64_t {
  kReceived = 1,
  kClassified,
  kDelivered,
  kReturned,
  kGenerated,
  kCopied,
  kSent,
  kDropped,
  kLent,
  kUnlent,
  kRefused,
  kFlowStarted,
  kFlowRepinned,
  kFlowEnded,
  kPublished,
  kStarted,
  kDraining,
  kEnded,
  kCopyMissed,
};

std::uint64_t word_of(Pin pin) {
  return (std::uint64_t{pin.host} << 16) | pin.instance;
}
std::uint64_t word_of(Hop hop) {
  return (static_cast<std::uint64_t>(hop.kind) << 8) | hop.step;
}

std::uint64_t hash_bytes(const void* bytes, std::size_t size) {
  std::uint64_t state = kKey3 ^ size;
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    state = fold(state ^ word, kKey0);
  }
  std::uint64_t last = 0;
  std::memcpy(&last, at, size);
  return fold(fold(state ^ last, kKey1), kKey2);
}

}  // namespace

void TraceHash::add(std::uint64_t word) noexcept {
  hash_ = chain_on(hash_, fold(word ^ kKey0, kKey1));
}

void TraceHash::begin(Instant now, std::uint64_t kind, std::uint64_t number,
                      std::uint64_t size) noexcept {
  hash_ = chain_on(hash_, fold(to_ns(now) ^ kKey0, (kind << 56 | number << 24 | size) ^ kKey1));
}

void TraceHash::add_packets(std::span<const Packet> packets) noexcept {
  std::uint64_t state = hash_;
  for (const Packet& packet : packets) {
    std::uint64_t words[4];
    std::memcpy(words, &packet, sizeof words);
    state = chain_on(
        state, fold(words[0] ^ kKey0, words[1] ^ kKey1) ^ fold(words[2] ^ kKey2, words[3] ^ kKey3));
  }
  hash_ = state;
}

void TraceHash::received(Instant now, PortId port, std::span<const Packet> packets) {
  begin(now, kReceived, index_of(port), packets.size());
  add_packets(packets);
}

void TraceHash::classified(Instant now, std::span<const Packet> packets) {
  begin(now, kClassified, 0, packets.size());
  add_packets(packets);
}

void TraceHash::delivered(Instant now, InstanceId instance, std::span<const Packet> packets) {
  begin(now, kDelivered, index_of(instance), packets.size());
  add_packets(packets);
}

void TraceHash::returned(Instant now, InstanceId instance, std::span<const Packet> packets) {
  begin(now, kReturned, index_of(instance), packets.size());
  add_packets(packets);
}

void TraceHash::generated(Instant now, InstanceId instance, std::span<const Packet> packets) {
  begin(now, kGenerated, index_of(instance), packets.size());
  add_packets(packets);
}

void TraceHash::copied(Instant now, const Packet& original, const Packet& copy) {
  begin(now, kCopied, 0, 2);
  add_packets({&original, 1});
  add_packets({&copy, 1});
}

void TraceHash::copy_missed(Instant now, const Packet& original, std::uint8_t step) {
  begin(now, kCopyMissed, step, 1);
  add_packets({&original, 1});
}

void TraceHash::sent(Instant now, PortId port, std::span<const Packet> packets) {
  begin(now, kSent, index_of(port), packets.size());
  add_packets(packets);
}

void TraceHash::dropped(Instant now, std::span<const Packet> packets, DropReason reason) {
  begin(now, kDropped, static_cast<std::uint64_t>(reason), packets.size());
  add_packets(packets);
}

void TraceHash::lent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) {
  begin(now, kLent, index_of(instance), buffers.size());
  for (const std::uint32_t buffer : buffers) add(buffer);
}

void TraceHash::unlent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) {
  begin(now, kUnlent, index_of(instance), buffers.size());
  for (const std::uint32_t buffer : buffers) add(buffer);
}

void TraceHash::refused(Instant now, InstanceId instance, const Packet& packet) {
  begin(now, kRefused, index_of(instance), 1);
  add_packets({&packet, 1});
}

void TraceHash::flow_started(Instant now, FlowId flow, const FlowKey& key, std::uint16_t chain,
                             std::span<const Pin> pins) {
  begin(now, kFlowStarted, chain, pins.size());
  add(flow);
  add(hash_bytes(&key, sizeof key));
  for (const Pin pin : pins) add(word_of(pin));
}

void TraceHash::flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                              RepinCause cause) {
  begin(now, kFlowRepinned, step, static_cast<std::uint64_t>(cause));
  add(flow);
  add((word_of(from) << 32) | word_of(to));
}

void TraceHash::flow_ended(Instant now, FlowId flow) {
  begin(now, kFlowEnded, 0, 1);
  add(flow);
}

void TraceHash::chain_published(Instant now, const ChainVersion& chain) {
  begin(now, kPublished, chain.index, chain.steps.size());
  add((std::uint64_t{index_of(chain.chain)} << 32) | chain.version);
  add((std::uint64_t{index_of(chain.from)} << 16) | index_of(chain.to));
  for (const Step& step : chain.steps) {
    add((std::uint64_t{index_of(step.service)} << 32) | (std::uint64_t{step.copy} << 16) |
        word_of(step.next));
    for (const Branch& branch : step.branches) {
      add((std::uint64_t{branch.label_bits} << 32) | word_of(branch.hop));
    }
  }
}

void TraceHash::instance_started(Instant now, InstanceId instance, ServiceId service) {
  begin(now, kStarted, index_of(instance), index_of(service));
}

void TraceHash::instance_draining(Instant now, InstanceId instance) {
  begin(now, kDraining, index_of(instance), 0);
}

void TraceHash::instance_ended(Instant now, InstanceId instance, bool died) {
  begin(now, kEnded, index_of(instance), died ? 1 : 0);
}

std::string TraceHash::to_string() const {
  return fmt::format("{:016x}", hash_);
}

std::string content_hash(std::string_view text) {
  return fmt::format("{:016x}", hash_bytes(text.data(), text.size()));
}

}  // namespace sluice::sim
