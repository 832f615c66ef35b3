#include "sim/traffic/wire.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/check.hpp"
#include "core/packet/bytes.hpp"
#include "sim/traffic/real_time.hpp"

namespace sluice::sim {
namespace {

constexpr std::size_t kVlanTagSize = 4;
constexpr std::size_t kVlanTagAt = 12;  // Behind the two MAC addresses.

tl::unexpected<ConfigError> refuse(const std::string& interface, std::string problem, int error,
                                   std::string expected = {}) {
  return tl::unexpected(ConfigError{Place{interface, 0, 0}, std::move(problem),
                                    std::strerror(error), std::move(expected)});
}

/// A packet socket on `interface`; with `protocol` 0 it receives nothing.
Result<Descriptor> open_socket(const std::string& interface, std::uint16_t protocol) {
  // Protocol 0 until it is bound: else frames of other interfaces would come first.
  Descriptor socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  if (socket.number() < 0) {
    return refuse(interface, "no packet socket", errno, "root, or the capability CAP_NET_RAW");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0) {
    return refuse(interface, "no such interface", errno, "one of this network namespace");
  }
  // Not seen twice: what we send is counted where it is sent.
  const int yes = 1;
  setsockopt(socket.number(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes);
  if (bind(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return refuse(interface, "cannot be bound", errno);
  }
  return socket;
}

/// What to add to a CLOCK_REALTIME time, as the kernel stamps frames, to have CLOCK_MONOTONIC.
Duration realtime_offset() noexcept {
  timespec real{};
  const Instant before = monotonic_now();
  clock_gettime(CLOCK_REALTIME, &real);
  const Instant after = monotonic_now();
  const std::int64_t real_ns = std::int64_t{real.tv_sec} * 1'000'000'000 + real.tv_nsec;
  return (before + (after - before) / 2).time_since_epoch() - Duration{real_ns};
}

}  // namespace

// --- Counters ------------------------------------------------------------------------------------

InterfaceCounters InterfaceCounters::operator-(const InterfaceCounters& before) const noexcept {
  return {rx_bytes - before.rx_bytes,     rx_packets - before.rx_packets,
          rx_dropped - before.rx_dropped, tx_bytes - before.tx_bytes,
          tx_packets - before.tx_packets, tx_dropped - before.tx_dropped};
}

std::optional<InterfaceCounters> find_interface(std::string_view text, std::string_view interface) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
    if (line.size() <= interface.size() || !line.starts_with(interface) ||
        line[interface.size()] != ':') {
      continue;
    }
    line.remove_prefix(interface.size() + 1);
    // Eight columns a direction: bytes, packets, errors, dropped, ...
    std::array<std::uint64_t, 16> columns{};
    for (std::uint64_t& column : columns) {
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), column);
      if (error != std::errc{}) return std::nullopt;
      line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    }
    return InterfaceCounters{columns[0], columns[1], columns[3],
                             columns[8], columns[9], columns[11]};
  }
  return std::nullopt;
}

Result<InterfaceCounters> read_interface(const std::string& interface) {
  std::ifstream stream("/proc/self/net/dev");
  std::ostringstream text;
  text << stream.rdbuf();
  const auto counters = find_interface(text.str(), interface);
  if (!counters) return refuse(interface, "has no counters in /proc/net/dev", ENODEV);
  return *counters;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

// --- Sending -------------------------------------------------------------------------------------

Result<WireSender> WireSender::open(const std::string& interface) {
  auto socket = open_socket(interface, 0);
  if (!socket) return tl::unexpected(socket.error());
  const int yes = 1;
  if (setsockopt(socket->number(), SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes) != 0) {
    return refuse(interface, "its queue cannot be bypassed", errno);
  }
  return WireSender{std::move(*socket)};
}

std::size_t WireSender::send(std::span<const std::span<const std::byte>> frames) noexcept {
  SLUICE_CHECK(frames.size() <= kWireBatchMax);
  std::array<iovec, kWireBatchMax> pieces;
  std::array<mmsghdr, kWireBatchMax> messages{};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    pieces[i] = {const_cast<std::byte*>(frames[i].data()), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (;;) {
    const int sent = sendmmsg(socket_.number(), messages.data(),
                              static_cast<unsigned>(frames.size()), MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno != EINTR) return 0;
  }
}

// --- Receiving -----------------------------------------------------------------------------------

struct WireReceiver::Slots {
  struct Slot {
    std::vector<std::byte> bytes;  ///< With room for a tag in front.
    iovec piece{};
    alignas(cmsghdr) std::array<std::byte, 256> control{};
  };
  std::array<Slot, kWireBatchMax> slots;
  std::array<mmsghdr, kWireBatchMax> messages{};
  std::array<Frame, kWireBatchMax> frames{};
};

namespace {

/// What came with a frame beside its bytes.
struct Notes {
  timespec when{};
  std::optional<tpacket_auxdata> tag;
};

Notes read_notes(msghdr& message) noexcept {
  Notes notes;
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS) {
      std::memcpy(&notes.when, CMSG_DATA(each), sizeof notes.when);
    } else if (each->cmsg_level == SOL_PACKET && each->cmsg_type == PACKET_AUXDATA) {
      tpacket_auxdata data{};
      std::memcpy(&data, CMSG_DATA(each), sizeof data);
      if ((data.tp_status & TP_STATUS_VLAN_VALID) != 0) notes.tag = data;
    }
  }
  return notes;
}

/// Puts back the outer VLAN tag that the kernel took off. `room` has kVlanTagSize bytes in front of
/// the frame.
std::span<const std::byte> put_tag_back(std::span<std::byte> room, const tpacket_auxdata& data) {
  std::memmove(room.data(), room.data() + kVlanTagSize, kVlanTagAt);
  const bool has_type = (data.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  store_be16(&room[kVlanTagAt], has_type ? data.tp_vlan_tpid : ETH_P_8021Q);
  store_be16(&room[kVlanTagAt + 2], data.tp_vlan_tci);
  return room;
}

}  // namespace

WireReceiver::WireReceiver(Descriptor socket, const Options& options)
    : socket_(std::move(socket)), slots_(std::make_unique<Slots>()) {
  for (std::size_t i = 0; i < kWireBatchMax; ++i) {
    Slots::Slot& slot = slots_->slots[i];
    slot.bytes.resize(kVlanTagSize + options.frame_size_max);
    slot.piece = {slot.bytes.data() + kVlanTagSize, options.frame_size_max};
    slots_->messages[i].msg_hdr.msg_iov = &slot.piece;
    slots_->messages[i].msg_hdr.msg_iovlen = 1;
  }
}
WireReceiver::WireReceiver(WireReceiver&&) noexcept = default;
WireReceiver::~WireReceiver() = default;

Result<WireReceiver> WireReceiver::open(const Options& options) {
  auto socket = open_socket(options.interface, ETH_P_ALL);
  if (!socket) return tl::unexpected(socket.error());
  const int yes = 1;
  const int buffer = static_cast<int>(options.buffer_bytes);
  const int number = socket->number();
  // FORCE goes beyond the system's limit and needs CAP_NET_ADMIN; without, we have what is allowed.
  if (setsockopt(number, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0) {
    setsockopt(number, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  }
  if (setsockopt(number, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) != 0 ||
      setsockopt(number, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof yes) != 0) {
    return refuse(options.interface, "frames cannot be stamped", errno);
  }
  return WireReceiver{std::move(*socket), options};
}

std::span<const WireReceiver::Frame> WireReceiver::receive() noexcept {
  for (std::size_t i = 0; i < kWireBatchMax; ++i) {
    msghdr& header = slots_->messages[i].msg_hdr;
    header.msg_control = slots_->slots[i].control.data();
    header.msg_controllen = slots_->slots[i].control.size();
  }
  const int count = recvmmsg(socket_.number(), slots_->messages.data(),
                             static_cast<unsigned>(kWireBatchMax), MSG_DONTWAIT, nullptr);
  if (count <= 0) return {};
  const Duration offset = realtime_offset();
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    Slots::Slot& slot = slots_->slots[i];
    const Notes notes = read_notes(slots_->messages[i].msg_hdr);
    const std::size_t length = slots_->messages[i].msg_len;
    const std::int64_t ns = std::int64_t{notes.when.tv_sec} * 1'000'000'000 + notes.when.tv_nsec;
    Frame& frame = slots_->frames[i];
    frame.when = Instant{Duration{ns} + offset};
    frame.bytes = std::span{slot.bytes}.subspan(kVlanTagSize, length);
    if (notes.tag) {
      frame.bytes = put_tag_back(std::span{slot.bytes}.first(kVlanTagSize + length), *notes.tag);
    }
  }
  return std::span{slots_->frames}.first(static_cast<std::size_t>(count));
}

std::uint64_t WireReceiver::take_missed() noexcept {
  tpacket_stats statistics{};
  socklen_t size = sizeof statistics;
  if (getsockopt(socket_.number(), SOL_PACKET, PACKET_STATISTICS, &statistics, &size) != 0) {
    return 0;
  }
  return statistics.tp_drops;
}

}  // namespace sluice::sim
