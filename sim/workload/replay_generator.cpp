#include "sim/workload/replay_generator.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

#include "core/check.hpp"
#include "core/packet/bytes.hpp"

namespace sluice::sim {
namespace {

/// The last 16 bits of an address go round among 1..65534: 0 and 65535 may mean the network and
/// all.
constexpr std::uint32_t kAddressCount = 65534;
constexpr std::uint32_t kPortFirst = 1024;
constexpr std::uint32_t kPortCount = 65536 - kPortFirst;

/// A stride that meets all of `count` places before one twice.
std::uint32_t draw_stride(Prng& prng, std::uint32_t count) {
  std::uint32_t stride = 0;
  do {
    stride = static_cast<std::uint32_t>(1 + prng.below(count - 1));
  } while (std::gcd(stride, count) != 1);
  return stride;
}

/// Both directions of a session give the same text of bytes.
struct SessionKey {
  FlowKey key;
  bool operator<(const SessionKey& other) const {
    return std::memcmp(&key, &other.key, sizeof key) < 0;
  }
};

bool source_is_first(const FlowKey& key) {
  const int order = std::memcmp(key.source.data(), key.destination.data(), key.source.size());
  return order != 0 ? order < 0 : key.source_port <= key.destination_port;
}

SessionKey session_of(const FlowKey& key) {
  return {source_is_first(key) ? key : key.reversed(PortId{key.ingress})};
}

/// Whether the source of this packet is the one who opens its session.
bool source_opens(const Headers& headers, const FlowKey& key, std::span<const std::byte> frame) {
  if (headers.l4 == L4::kTcp) {
    const bool syn = (headers.tcp_flags & kTcpSyn) != 0;
    const bool ack = (headers.tcp_flags & kTcpAck) != 0;
    if (syn) return !ack;
    // Captured from the middle: clients have the higher port.
    if (key.source_port != key.destination_port) return key.source_port > key.destination_port;
  }
  if ((headers.l4 == L4::kIcmp || headers.l4 == L4::kIcmpv6) && headers.l4_offset < frame.size()) {
    const auto type = load_u8(&frame[headers.l4_offset]);
    if (type == 0 || type == 129) return false;  // An echo reply.
  }
  return true;
}

}  // namespace

ReplayGenerator::ReplayGenerator(std::shared_ptr<const Capture> capture, const Options& options)
    : capture_(std::move(capture)), options_(options) {
  SLUICE_CHECK(capture_ != nullptr && !capture_->frames().empty());
  Prng prng{options_.seed};
  address_stride_ = draw_stride(prng, kAddressCount);
  address_start_ = static_cast<std::uint32_t>(prng.below(kAddressCount));
  port_stride_ = draw_stride(prng, kPortCount);
  port_start_ = static_cast<std::uint32_t>(prng.below(kPortCount));
  if (!options_.rate.empty()) {
    curve_.emplace(options_.rate);
    bits_ = curve_->bits_at(options_.start.time_since_epoch());
  }
  // The next pass begins a mean gap after the last frame, so that passes cannot pile up at one
  // time.
  const auto count = static_cast<std::int64_t>(capture_->frames().size());
  pass_period_ = capture_->duration() +
                 std::max<Duration>(capture_->duration() / count, std::chrono::microseconds{1});
  make_plans();
  begin_pass();
}

void ReplayGenerator::make_plans() {
  std::map<SessionKey, IpBytes> clients;       // Who opened a session.
  std::map<SessionKey, IpBytes> pair_clients;  // And which of two addresses, for fragments.
  for (const Capture::Frame& frame : capture_->frames()) {
    Plan plan;
    const auto bytes = capture_->bytes(frame);
    const auto headers = parse(bytes);
    if (headers && (headers->l3 == L3::kIpv4 || headers->l3 == L3::kIpv6)) {
      plan.headers = *headers;
      FlowKey key = flow_key(bytes, *headers, kNoPort);
      FlowKey pair;
      pair.source = key.source;
      pair.destination = key.destination;
      pair.ip_version = key.ip_version;
      const bool opens = source_opens(*headers, key, bytes);
      const IpBytes& opener = opens ? key.source : key.destination;
      const IpBytes& of_pair = pair_clients.try_emplace(session_of(pair), opener).first->second;
      plan.address = headers->later_fragment
                         ? of_pair
                         : clients.try_emplace(session_of(key), opener).first->second;
      plan.client = plan.address == key.source ? Client::kSource : Client::kDestination;
      const std::uint16_t port =
          plan.client == Client::kSource ? key.source_port : key.destination_port;
      plan.has_ports = !headers->later_fragment && port >= kPortFirst &&
                       (key.protocol == 6 || key.protocol == 17 || key.protocol == 132);
    }
    plans_.push_back(plan);
  }
}

void ReplayGenerator::begin_pass() noexcept {
  address_shift_ = static_cast<std::uint32_t>(
      (address_start_ + pass_ % kAddressCount * address_stride_) % kAddressCount);
  port_shift_ =
      static_cast<std::uint32_t>((port_start_ + pass_ % kPortCount * port_stride_) % kPortCount);
}

void ReplayGenerator::rewrite(std::span<std::byte> frame, const Plan& plan) const noexcept {
  IpBytes address = plan.address;
  std::uint8_t* tail = address.data() + (plan.headers.l3 == L3::kIpv4 ? 2 : 14);
  std::uint32_t low = std::uint32_t{tail[0]} << 8 | tail[1];
  low = 1 + (std::clamp(low, 1u, kAddressCount) - 1 + address_shift_) % kAddressCount;
  tail[0] = static_cast<std::uint8_t>(low >> 8);
  tail[1] = static_cast<std::uint8_t>(low);
  Headers headers = plan.headers;
  const auto moved = [&](std::uint16_t port) {
    return static_cast<std::uint16_t>(kPortFirst + (port - kPortFirst + port_shift_) % kPortCount);
  };
  // A refusal leaves a frame as captured: it has no such field.
  if (plan.client == Client::kSource) {
    (void)set_source_address(frame, headers, address);
    if (plan.has_ports) (void)set_source_port(frame, headers, moved(headers.source_port));
  } else {
    (void)set_destination_address(frame, headers, address);
    if (plan.has_ports) {
      (void)set_destination_port(frame, headers, moved(headers.destination_port));
    }
  }
}

std::optional<Duration> ReplayGenerator::time_of_next() {
  if (curve_) return curve_->time_of(bits_);
  const Capture::Frame& frame = capture_->frames()[position_];
  return options_.start.time_since_epoch() + pass_period_ * static_cast<std::int64_t>(pass_) +
         frame.at;
}

/// Frames of nobody (no IP, say) count as the clients'.
bool ReplayGenerator::is_ours(const Plan& plan) const noexcept {
  if (options_.side == Side::kAll) return true;
  return (plan.client == Client::kDestination) == (options_.side == Side::kServers);
}

void ReplayGenerator::advance() noexcept {
  bits_ += 8.0 * capture_->frames()[position_].length;
  if (++position_ < capture_->frames().size()) return;
  position_ = 0;
  ++pass_;
  begin_pass();
}

std::optional<ReplayGenerator::Frame> ReplayGenerator::next(std::span<std::byte> room) {
  for (;;) {
    if (options_.pass_count_max != 0 && pass_ >= options_.pass_count_max) return std::nullopt;
    const auto at = time_of_next();
    if (!at || Instant{*at} >= options_.stop) return std::nullopt;
    const Plan& plan = plans_[position_];
    if (!is_ours(plan)) {
      advance();
      continue;
    }
    const Capture::Frame& frame = capture_->frames()[position_];
    SLUICE_CHECK(frame.length <= room.size());
    const auto bytes = capture_->bytes(frame);
    std::memcpy(room.data(), bytes.data(), bytes.size());
    if (options_.rewrite && plan.client != Client::kNone) rewrite(room.first(frame.length), plan);
    advance();
    return Frame{Instant{*at}, frame.length};
  }
}

}  // namespace sluice::sim
