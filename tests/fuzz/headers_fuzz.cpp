// link: sluice::packet
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/check.hpp"
#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"
#include "core/packet/packet_memory.hpp"
#include "core/packet/plain_flow.hpp"

// Any bytes as a frame: parse it, and when it is accepted apply every rewriting. The first byte
// seeds the new values, the rest is the frame. After each rewriting the frame must parse to the
// same headers, and a right checksum must still be right. The short way to a flow key must agree.
namespace sluice {
namespace {

void check_same(std::span<const std::byte> frame, const Headers& headers, ChecksumState before) {
  const auto again = parse(frame);
  SLUICE_CHECK(again.has_value());
  SLUICE_CHECK(again->source_port == headers.source_port);
  SLUICE_CHECK(again->destination_port == headers.destination_port);
  SLUICE_CHECK(again->ttl == headers.ttl);
  SLUICE_CHECK(again->vlan_outer == headers.vlan_outer);
  SLUICE_CHECK(again->l4_offset == headers.l4_offset);
  SLUICE_CHECK(again->payload_length == headers.payload_length);
  SLUICE_CHECK(verify_l4_checksum(frame, *again) == before);
}

void rewrite_all(std::span<std::byte> frame, Headers headers, std::uint8_t seed) {
  const ChecksumState before = verify_l4_checksum(frame, headers);
  IpBytes address;
  std::fill(address.begin(), address.end(), seed);
  const auto number = static_cast<std::uint16_t>(seed * 257u + 3u);
  (void)set_source_address(frame, headers, address);
  check_same(frame, headers, before);
  (void)set_destination_address(frame, headers, address);
  check_same(frame, headers, before);
  (void)set_source_port(frame, headers, number);
  check_same(frame, headers, before);
  (void)set_destination_port(frame, headers, number);
  check_same(frame, headers, before);
  (void)decrement_ttl(frame, headers);
  check_same(frame, headers, before);
  (void)set_vlan(frame, headers, number);
  check_same(frame, headers, before);
  (void)clamp_mss(frame, headers, seed);
  check_same(frame, headers, before);
  for (int kind = 0; kind < 256; ++kind) {
    (void)find_tcp_option(frame, headers, static_cast<std::uint8_t>(kind));
  }
  set_source_mac(frame, destination_mac(frame));
  set_destination_mac(frame, source_mac(frame));
  check_same(frame, headers, before);
  write_checksums(frame, headers);
  // Of a fragment it cannot compute the checksum, and leaves it.
  const bool whole = !headers.fragment && !headers.source_routed;
  SLUICE_CHECK(!whole || verify_l4_checksum(frame, headers) != ChecksumState::kWrong);
}

/// A tag put on and taken off again leaves the frame as it was, in a buffer of exactly its size.
void push_and_pop(std::span<const std::byte> frame) {
  constexpr std::size_t headroom = 4;
  std::vector<std::byte> bytes(headroom + frame.size());
  std::copy(frame.begin(), frame.end(), bytes.begin() + headroom);
  const PacketMemory memory{bytes, static_cast<std::uint32_t>(bytes.size())};
  Packet packet{};
  packet.offset = headroom;
  packet.length = static_cast<std::uint16_t>(frame.size());
  if (push_vlan(memory, packet, {.tci = 5}) == Rewrite::kDone) {
    SLUICE_CHECK(memory.contains(packet));
    SLUICE_CHECK(pop_vlan(memory, packet) == Rewrite::kDone);
    SLUICE_CHECK(std::equal(frame.begin(), frame.end(), memory.bytes(packet).begin()));
  }
  while (pop_vlan(memory, packet) == Rewrite::kDone) SLUICE_CHECK(memory.contains(packet));
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 60000) return 0;
  const auto all = std::as_bytes(std::span{data, size});
  std::vector<std::byte> frame(all.begin() + 1, all.end());
  sluice::push_and_pop(frame);
  const auto headers = sluice::parse(frame);
  sluice::PackedKey plain_key{};
  const sluice::PortId port{data[0]};
  const std::uint32_t plain_flags = sluice::PlainFlowReader{port}.read(frame, plain_key);
  const bool plain = plain_flags != sluice::PlainFlowReader::kNotPlain;
  SLUICE_CHECK(headers.has_value() || !plain);
  if (!headers) {
    (void)sluice::to_string(headers.error());
    return 0;
  }
  const sluice::FlowKey key = sluice::flow_key(frame, *headers, port);
  SLUICE_CHECK(!plain || (sluice::unpack(plain_key) == key && plain_flags == headers->tcp_flags));
  (void)sluice::hash(key, {});
  sluice::rewrite_all(frame, *headers, data[0]);
  return 0;
}
