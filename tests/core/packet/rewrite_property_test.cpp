#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>

#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"
#include "core/prng.hpp"
#include "tests/support/frames.hpp"

// Rewriting in any order keeps checksums as right or as wrong as they were. The seed is printed by
// rapidcheck; RC_PARAMS="seed=N" repeats it.
namespace sluice {
namespace {

using frames::Bytes;

Bytes random_bytes(Prng& prng, std::size_t size_max) {
  Bytes bytes(prng.below(size_max + 1));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(prng.next());
  return bytes;
}

frames::Ip random_ip(Prng& prng) {
  frames::Ip ip;
  if (prng.below(2) == 0) {
    if (prng.below(3) == 0) ip.options = frames::hex("94040000 01010101");
  } else {
    ip.source = "2001:db8::1";
    ip.destination = "2001:db8::2";
    if (prng.below(3) == 0) ip.extensions = {{.kind = 0}, {.kind = 60, .body = Bytes(14)}};
  }
  ip.ttl = static_cast<std::uint8_t>(prng.next());
  return ip;
}

Bytes random_frame(Prng& prng) {
  const frames::Ip ip = random_ip(prng);
  frames::Ethernet ethernet;
  ethernet.vlans.resize(prng.below(3));
  ethernet.size_min = prng.below(2) * 60;
  const Bytes payload = random_bytes(prng, 70);
  const auto port = static_cast<std::uint16_t>(prng.next());
  switch (prng.below(5)) {
    case 0:
      return frames::tcp(
          {.source_port = port,
           .flags = kTcpSyn,
           .options = prng.below(2) == 0 ? frames::hex("020405b4") : frames::hex("01020405b4"),
           .payload = payload},
          ip, ethernet);
    case 1:
      return frames::udp({.source_port = port, .payload = payload}, ip, ethernet);
    case 2:
      return frames::udp({.payload = payload, .checksum = ip.is_v6()}, ip, ethernet);
    case 3:
      return frames::sctp({.source_port = port, .payload = payload}, ip, ethernet);
    default:
      return frames::icmp({.identifier = port, .payload = payload}, ip, ethernet);
  }
}

void rewrite_something(Prng& prng, Bytes& frame, Headers& headers) {
  IpBytes address;
  for (auto& byte : address) byte = static_cast<std::uint8_t>(prng.next());
  const auto number = static_cast<std::uint16_t>(prng.next());
  Rewrite result{};
  switch (prng.below(7)) {
    case 0:
      result = set_source_address(frame, headers, address);
      break;
    case 1:
      result = set_destination_address(frame, headers, address);
      break;
    case 2:
      result = set_source_port(frame, headers, number);
      break;
    case 3:
      result = set_destination_port(frame, headers, number);
      break;
    case 4:
      result = decrement_ttl(frame, headers);
      break;
    case 5:
      result = set_vlan(frame, headers, number);
      break;
    default:
      result = clamp_mss(frame, headers, number % 2000);
      break;
  }
  RC_ASSERT(result != Rewrite::kNotWhole && result != Rewrite::kNoRoom);
}

/// By how much the L4 checksum is wrong: 0 when right. Modulo 65535, for 0 and 0xffff are the same
/// in one's complement; by exclusive or for SCTP.
std::uint32_t syndrome_of(const Bytes& frame, const Headers& headers) {
  const auto all = std::span(frame);
  const std::size_t end = std::size_t{headers.payload_offset} + headers.payload_length;
  auto segment = all.subspan(headers.l4_offset, end - headers.l4_offset);
  if (headers.l4 == L4::kSctp) {
    Bytes wiped(segment.begin(), segment.end());
    std::uint32_t stored = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      stored |= std::to_integer<std::uint32_t>(std::exchange(wiped[8 + i], std::byte{0})) << 8 * i;
    }
    return stored ^ frames::crc32c_bitwise(wiped);
  }
  unsigned sum = 0;
  if (headers.l4 != L4::kIcmp) {
    const bool v4 = headers.l3 == L3::kIpv4;
    Bytes rest;
    frames::append32(rest, static_cast<std::uint32_t>(segment.size()));
    frames::append32(rest, headers.protocol);
    sum = frames::ones_sum(all.subspan(headers.l3_offset + (v4 ? 12u : 8u), v4 ? 8 : 32));
    sum = frames::ones_sum(rest, sum);
  }
  return frames::ones_sum(segment, sum) % 0xffff;
}

RC_GTEST_PROP(RewriteProperty, ByDifferenceEqualsComputingAnew, (std::uint64_t seed)) {
  Prng prng{seed};
  Bytes frame = random_frame(prng);
  auto headers = parse(frame);
  RC_ASSERT(headers.has_value());
  const bool absent = verify_l4_checksum(frame, *headers) == ChecksumState::kAbsent;
  for (int step = 0; step < 8; ++step) {
    rewrite_something(prng, frame, *headers);
    // What the caller's Headers say is what the frame says: parse() checks the IPv4 checksum too.
    const auto again = parse(frame);
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->source_port == headers->source_port);
    RC_ASSERT(again->destination_port == headers->destination_port);
    RC_ASSERT(again->ttl == headers->ttl);
    RC_ASSERT(again->vlan_outer == headers->vlan_outer);
    if (absent) {
      RC_ASSERT(verify_l4_checksum(frame, *headers) == ChecksumState::kAbsent);
      continue;
    }
    RC_ASSERT(syndrome_of(frame, *headers) == 0u);
    Bytes anew = frame;
    write_checksums(anew, *headers);
    RC_ASSERT(frames::to_hex(frame) == frames::to_hex(anew));
  }
}

RC_GTEST_PROP(RewriteProperty, AWrongChecksumStaysWrongByAsMuch, (std::uint64_t seed)) {
  Prng prng{seed};
  Bytes frame = random_frame(prng);
  auto headers = parse(frame);
  RC_ASSERT(headers.has_value());
  RC_PRE(verify_l4_checksum(frame, *headers) == ChecksumState::kRight);
  const std::size_t at = l4_checksum_offset(*headers);
  frames::write16(frame, at, frames::read16(frame, at) ^ (1u + unsigned(prng.below(0xfffe))));
  RC_PRE(frames::read16(frame, at) != 0);  // For UDP that would be: none computed.
  const std::uint32_t syndrome = syndrome_of(frame, *headers);
  RC_PRE(syndrome != 0);  // 0 and 0xffff are the same checksum.
  for (int step = 0; step < 8; ++step) {
    rewrite_something(prng, frame, *headers);
    RC_ASSERT(verify_l4_checksum(frame, *headers) == ChecksumState::kWrong);
    RC_ASSERT(syndrome_of(frame, *headers) == syndrome);
  }
}

}  // namespace
}  // namespace sluice
