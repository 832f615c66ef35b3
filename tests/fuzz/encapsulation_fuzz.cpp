// link: sluice::encapsulation
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/check.hpp"
#include "core/encapsulation/decapsulator.hpp"
#include "core/encapsulation/encapsulator.hpp"
#include "core/encapsulation/too_big.hpp"
#include "core/packet/checksum.hpp"

// Any bytes as a frame from the underlay. The first byte says over which IP, and whether the bytes
// are laid over a good frame (so that the fuzzer gets past the cookie) or stand alone. What is
// taken must be encapsulated again to the same bytes, but for what a receiver does not look at.
namespace sluice {
namespace {

constexpr HashKey kSecret{1, 2};
constexpr std::uint32_t kBufferSize = 4096;

TunnelEndpoint endpoint(std::uint16_t host, std::uint8_t ip_version) {
  TunnelEndpoint end;
  end.host = HostId{host};
  end.ip_version = ip_version;
  end.address[0] = 10;
  end.address[3] = static_cast<std::uint8_t>(host);
  return end;
}

void answer_too_big(std::span<const std::byte> frame) {
  const auto headers = parse(frame);
  if (!headers || !may_answer_too_big(frame, *headers)) return;
  std::vector<std::byte> answer(kTooBigBytesMax);
  const std::size_t size = write_too_big(frame, *headers, 1400, answer);
  SLUICE_CHECK(size > 0);
  answer.resize(size);
  const auto again = parse(answer);
  SLUICE_CHECK(again.has_value());
  SLUICE_CHECK(verify_l4_checksum(answer, *again) == ChecksumState::kRight);
  SLUICE_CHECK(!may_answer_too_big(answer, *again));
}

void check_again(const PacketMemory& memory, Packet packet, const StoredTransit& stored,
                 std::uint8_t version) {
  const Encapsulator encapsulator{
      {.local = endpoint(1, version), .remote = endpoint(2, version), .secret = kSecret}};
  Transit transit = stored.view();
  ++transit.ttl;
  const Packet before = packet;
  SLUICE_CHECK(encapsulator(memory, {&packet, 1}, {&transit, 1}) == 1);
  Decapsulator decapsulator;
  const TunnelEndpoint peer = endpoint(1, version);
  decapsulator.use({.local = endpoint(2, version), .secret = kSecret}, {&peer, 1});
  TunnelError error{};
  StoredTransit again;
  Decapsulator::Arrival arrival{.transit = &again};
  decapsulator(memory, {&packet, 1}, {&error, 1}, {&arrival, 1});
  SLUICE_CHECK(error == TunnelError::kNone);
  SLUICE_CHECK(packet == before);
  SLUICE_CHECK(again.path == stored.path && again.pins == stored.pins);
}

void try_frame(std::span<const std::byte> data, std::uint8_t version, bool over_good) {
  std::vector<std::byte> bytes(kBufferSize);
  const PacketMemory memory{bytes, kBufferSize};
  Packet packet{};
  packet.offset = kHeadroom;
  packet.length = 64;
  const std::vector<Pin> pins(data.size() % (kTransitPinCountMax + 1), Pin{1, 2});
  if (over_good) {
    const Encapsulator encapsulator{
        {.local = endpoint(1, version), .remote = endpoint(2, version), .secret = kSecret}};
    const Transit transit{.pins = pins};
    SLUICE_CHECK(encapsulator(memory, {&packet, 1}, {&transit, 1}) == 1);
    // Pairs of a place and what is laid over it (exclusive or).
    for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
      memory.bytes(packet)[std::to_integer<std::size_t>(data[i]) % packet.length] ^= data[i + 1];
    }
  } else {
    packet.length = static_cast<std::uint16_t>(data.size());
    std::copy(data.begin(), data.end(), memory.bytes(packet).begin());
  }
  Decapsulator decapsulator;
  const TunnelEndpoint peer = endpoint(1, version);
  decapsulator.use({.local = endpoint(2, version), .secret = kSecret}, {&peer, 1});
  const Packet before = packet;
  TunnelError error{};
  StoredTransit transit;
  Decapsulator::Arrival arrival{.transit = &transit};
  decapsulator(memory, {&packet, 1}, {&error, 1}, {&arrival, 1});
  if (error != TunnelError::kNone) {
    SLUICE_CHECK(packet == before);
    return;
  }
  SLUICE_CHECK(packet.offset + packet.length <= before.offset + before.length);
  SLUICE_CHECK(transit.pin_count <= kTransitPinCountMax);
  check_again(memory, packet, transit, version);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 2048) return 0;
  const std::span bytes{reinterpret_cast<const std::byte*>(data) + 1, size - 1};
  sluice::try_frame(bytes, (data[0] & 1) != 0 ? 6 : 4, (data[0] & 2) != 0);
  sluice::answer_too_big(bytes);
  return 0;
}
