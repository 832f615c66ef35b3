#include "sim/workload/synthetic_generator.hpp"

#include <algorithm>
#include <cstring>

#include "core/check.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/headers.hpp"
#include "sim/workload/random.hpp"

namespace sluice::sim {
namespace {

constexpr std::uint16_t kEthernetSize = 14;
constexpr std::uint16_t kIpv4Size = 20, kIpv6Size = 40;
constexpr std::uint16_t kUdpSize = 8, kTcpSize = 20;
constexpr std::uint8_t kProtocolTcp = 6, kProtocolUdp = 17;

std::uint16_t fold(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint32_t sum_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += std::uint32_t{bytes[i]} << 8 | bytes[i + 1];
  }
  return sum;
}

std::uint64_t size_max(const SizeSpec& sizes) {
  return sizes.points.back().size_bytes;
}

/// An address of `prefix`; where the host part has room, not its first and last, which may mean the
/// network and all of it.
std::array<std::uint8_t, 16> draw_address(const IpPrefix& prefix, Prng& prng) {
  std::array<std::uint8_t, 16> bytes = prefix.address.bytes;
  const std::uint32_t width = prefix.address.ip_version == 4 ? 32 : 128;
  const std::uint32_t host_bits = width - std::min<std::uint32_t>(prefix.length, width);
  // 32 bits of freedom make 4e9 addresses: enough, also for IPv6.
  const std::uint32_t drawn_bits = std::min(host_bits, 32u);
  if (drawn_bits == 0) return bytes;
  const std::uint64_t count = std::uint64_t{1} << drawn_bits;
  std::uint64_t value = count > 2 ? 1 + prng.below(count - 2) : prng.below(count);
  for (std::size_t i = width / 8; value != 0; value >>= 8) {
    --i;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] | (value & 0xff));
  }
  return bytes;
}

std::uint16_t draw_port(const PortRange& range, Prng& prng) {
  const std::uint32_t count = std::uint32_t{range.last} - range.first + 1;
  return static_cast<std::uint16_t>(range.first + prng.below(count));
}

}  // namespace

std::uint64_t draw_size(const SizeSpec& sizes, Prng& prng) {
  if (sizes.points.size() == 1) return sizes.points.front().size_bytes;
  const auto drawn = static_cast<std::uint32_t>(prng.below(kPpmOne.value));
  const auto found = std::upper_bound(
      sizes.points.begin(), sizes.points.end(), drawn,
      [](std::uint32_t value, const SizePoint& point) { return value < point.cumulative.value; });
  return found == sizes.points.end() ? size_max(sizes) : found->size_bytes;
}

SyntheticGenerator::SyntheticGenerator(const Options& options)
    : options_(options), prng_(options.seed), curve_(options.rate) {
  const SyntheticTraffic& traffic = options_.traffic;
  is_v6_ = traffic.addresses.source.address.ip_version == 6;
  is_tcp_ = traffic.addresses.protocol == kProtocolTcp;
  l4_offset_ = static_cast<std::uint16_t>(kEthernetSize + (is_v6_ ? kIpv6Size : kIpv4Size));
  payload_offset_ = static_cast<std::uint16_t>(l4_offset_ + (is_tcp_ ? kTcpSize : kUdpSize));
  std::uint32_t before = 0;
  for (const SizePoint& point : traffic.frame_sizes.points) {
    const auto length = std::max<std::uint64_t>(point.size_bytes, payload_offset_);
    mean_bits_ +=
        8e-6 * static_cast<double>(length) * static_cast<double>(point.cumulative.value - before);
    before = point.cumulative.value;
  }
  const auto length_max = std::max<std::size_t>(size_max(traffic.frame_sizes), payload_offset_);
  SLUICE_CHECK(length_max <= UINT16_MAX);
  pattern_.resize(length_max);
  Prng payload = prng_.fork(1);
  for (std::byte& each : pattern_) each = static_cast<std::byte>('a' + payload.below(26));
  constexpr std::uint8_t kMacs[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};  // Locally administered.
  std::memcpy(pattern_.data(), kMacs, sizeof kMacs);
  store_be16(&pattern_[12], is_v6_ ? 0x86dd : 0x0800);
  std::memset(&pattern_[kEthernetSize], 0, payload_offset_ - kEthernetSize);
  payload_sums_.push_back(0);
  for (std::size_t at = payload_offset_; at + 1 < length_max; at += 2) {
    payload_sums_.push_back(payload_sums_.back() + load_be16(&pattern_[at]));
  }
  flows_.resize(std::max(1u, traffic.flow_count));
  for (Flow& flow : flows_) start_flow(flow);
  bits_ = curve_.bits_at(options_.start.time_since_epoch());
  last_ = phase_end_ = options_.start.time_since_epoch();
  phase_end_bits_ = bits_;
  if (traffic.arrivals == SyntheticTraffic::Arrivals::kOnOff) {
    // Begins on. Without a mean there is no off, and the phase never ends.
    phase_end_ += Duration{static_cast<std::int64_t>(exponential(prng_) *
                                                     static_cast<double>(traffic.on_mean.count()))};
    phase_end_bits_ = curve_.bits_at(phase_end_);
  }
}

void SyntheticGenerator::start_flow(Flow& flow) {
  const SyntheticTraffic& traffic = options_.traffic;
  flow = Flow{};
  flow.source = draw_address(traffic.addresses.source, prng_);
  flow.destination = draw_address(traffic.addresses.destination, prng_);
  flow.source_port = draw_port(traffic.addresses.source_port, prng_);
  flow.destination_port = draw_port(traffic.addresses.destination_port, prng_);
  flow.sequence = static_cast<std::uint32_t>(prng_.next());
  flow.constant_sum = sum_of(flow.source) + sum_of(flow.destination) + flow.source_port +
                      flow.destination_port + traffic.addresses.protocol;
  flow.packets_left = traffic.flow_packets;
  // A TCP-like flow has a SYN and a FIN.
  if (is_tcp_ && flow.packets_left == 1) flow.packets_left = 2;
  if (traffic.flow_sizes) {
    flow.bytes_left = static_cast<std::int64_t>(
        std::min<std::uint64_t>(draw_size(*traffic.flow_sizes, prng_), INT64_MAX));
  }
  ++flow_count_;
}

std::uint16_t SyntheticGenerator::draw_length() {
  const auto drawn = draw_size(options_.traffic.frame_sizes, prng_);
  return static_cast<std::uint16_t>(std::max<std::uint64_t>(drawn, payload_offset_));
}

/// Moves to the next on phase; what was due beyond the end of this one stays due.
bool SyntheticGenerator::next_phase() {
  const SyntheticTraffic& traffic = options_.traffic;
  const auto draw = [&](Duration mean) {
    return Duration{
        static_cast<std::int64_t>(exponential(prng_) * static_cast<double>(mean.count()))};
  };
  const double rest = bits_ - phase_end_bits_;
  const Duration on_start = phase_end_ + draw(traffic.off_mean);
  bits_ = curve_.bits_at(on_start) + rest;
  phase_end_ = on_start + draw(traffic.on_mean);
  phase_end_bits_ = curve_.bits_at(phase_end_);
  return Instant{on_start} < options_.stop;
}

/// When the next frame goes out, after `bits` more.
std::optional<Duration> SyntheticGenerator::advance(double bits) {
  bits_ += bits;
  if (options_.traffic.arrivals == SyntheticTraffic::Arrivals::kOnOff) {
    while (bits_ > phase_end_bits_) {
      if (!next_phase()) return std::nullopt;
    }
  }
  const auto at = curve_.time_of(bits_);
  if (at) last_ = std::max(last_, *at);
  return at ? std::optional{last_} : std::nullopt;
}

std::optional<SyntheticGenerator::Frame> SyntheticGenerator::next(std::span<std::byte> room) {
  const SyntheticTraffic& traffic = options_.traffic;
  const bool evenly = traffic.arrivals == SyntheticTraffic::Arrivals::kConstant;
  const std::uint32_t burst = std::max(1u, traffic.burst);
  if (burst_left_ == 0) {
    // Evenly: what went out before decides. Poisson: as much as a mean burst, exponentially.
    const auto at = advance(evenly ? burst_bits_ : exponential(prng_) * mean_bits_ * burst);
    if (!at) return std::nullopt;
    burst_left_ = burst;
    burst_bits_ = 0;
  }
  if (Instant{last_} >= options_.stop) return std::nullopt;
  --burst_left_;
  const std::uint16_t length = draw_length();
  burst_bits_ += 8.0 * length;
  SLUICE_CHECK(length <= room.size());
  std::size_t index = 0;
  if (flows_.size() > 1) {
    index = evenly ? turn_ : prng_.below(flows_.size());
    turn_ = turn_ + 1 == flows_.size() ? 0 : turn_ + 1;
  }
  Flow& flow = flows_[index];
  bool last = false;
  if (traffic.flow_packets != 0) last = --flow.packets_left == 0;
  if (traffic.flow_sizes) {
    flow.bytes_left -= length;
    last |= flow.bytes_left <= 0 && !(is_tcp_ && flow.packet_count == 0);
  }
  write(room.first(length), flow, last);
  if (last) start_flow(flow);
  return Frame{Instant{last_}, length};
}

void SyntheticGenerator::write(std::span<std::byte> frame, Flow& flow, bool last) {
  std::memcpy(frame.data(), pattern_.data(), frame.size());
  write_ip(frame, flow);
  write_l4(frame, flow, last);
  ++flow.packet_count;
}

void SyntheticGenerator::write_ip(std::span<std::byte> frame, const Flow& flow) const {
  std::byte* ip = &frame[kEthernetSize];
  const std::uint8_t protocol = is_tcp_ ? kProtocolTcp : kProtocolUdp;
  const auto length = static_cast<std::uint16_t>(frame.size() - kEthernetSize);
  if (is_v6_) {
    store_be32(ip, 0x60000000);
    store_be16(ip + 4, static_cast<std::uint16_t>(length - kIpv6Size));
    store_be16(ip + 6, static_cast<std::uint16_t>(protocol << 8 | 64));
    std::memcpy(ip + 8, flow.source.data(), 16);
    std::memcpy(ip + 24, flow.destination.data(), 16);
    return;
  }
  constexpr std::uint16_t kVersion = 0x4500, kDoNotFragment = 0x4000;
  const auto ttl = static_cast<std::uint16_t>(64 << 8 | protocol);
  store_be16(ip, kVersion);
  store_be16(ip + 2, length);
  store_be16(ip + 6, kDoNotFragment);
  store_be16(ip + 8, ttl);
  const std::uint32_t sum = kVersion + length + kDoNotFragment + ttl +
                            sum_of(std::span{flow.source}.first(4)) +
                            sum_of(std::span{flow.destination}.first(4));
  store_be16(ip + 10, fold(sum));
  std::memcpy(ip + 12, flow.source.data(), 4);
  std::memcpy(ip + 16, flow.destination.data(), 4);
}

void SyntheticGenerator::write_l4(std::span<std::byte> frame, Flow& flow, bool last) const {
  std::byte* l4 = &frame[l4_offset_];
  const auto l4_length = static_cast<std::uint32_t>(frame.size() - l4_offset_);
  const std::uint32_t payload = static_cast<std::uint32_t>(frame.size()) - payload_offset_;
  std::uint64_t sum = std::uint64_t{flow.constant_sum} + l4_length + payload_sums_[payload / 2];
  if (payload % 2 != 0) sum += std::uint32_t{load_u8(&frame[frame.size() - 1])} << 8;
  store_be16(l4, flow.source_port);
  store_be16(l4 + 2, flow.destination_port);
  if (!is_tcp_) {
    store_be16(l4 + 4, static_cast<std::uint16_t>(l4_length));
    const std::uint16_t checksum = fold(sum + l4_length);
    store_be16(l4 + 6, checksum == 0 ? 0xffff : checksum);  // 0 would mean: none.
    return;
  }
  constexpr std::uint16_t kWindow = 65535;
  constexpr std::uint32_t kAcknowledged = 1;
  const bool first = flow.packet_count == 0;
  std::uint16_t flags = first ? kTcpSyn : kTcpAck | kTcpPsh;
  if (last) flags |= kTcpFin;
  const auto offset_and_flags = static_cast<std::uint16_t>(5u << 12 | flags);
  const std::uint32_t acknowledgement = first ? 0 : kAcknowledged;
  store_be32(l4 + 4, flow.sequence);
  store_be32(l4 + 8, acknowledgement);
  store_be16(l4 + 12, offset_and_flags);
  store_be16(l4 + 14, kWindow);
  sum += (flow.sequence >> 16) + (flow.sequence & 0xffff) + acknowledgement + offset_and_flags +
         kWindow;
  store_be16(l4 + 16, fold(sum));
  flow.sequence += payload + (first ? 1 : 0);
}

}  // namespace sluice::sim
