#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/core/encapsulation/tunnel_rig.hpp"

namespace sluice {
namespace {

using test::TunnelRig;

frames::Bytes any_bytes(std::size_t count) {
  const auto numbers =
      *rc::gen::container<std::vector<std::uint8_t>>(count, rc::gen::arbitrary<std::uint8_t>());
  frames::Bytes bytes;
  for (const std::uint8_t number : numbers) bytes.push_back(std::byte{number});
  return bytes;
}

// decap(encap(p)) = p, whatever the frame, the flow and the pins (invariant I-18).
RC_GTEST_PROP(Encapsulation, GoesThereAndBack, ()) {
  TunnelRig rig{static_cast<std::uint8_t>(*rc::gen::element(4, 6))};
  const auto frame = any_bytes(*rc::gen::inRange<std::size_t>(14, 1600));
  const auto pins = *rc::gen::mapcat(rc::gen::inRange<std::size_t>(0, 33), [](std::size_t count) {
    return rc::gen::container<std::vector<Pin>>(
        count, rc::gen::build<Pin>(rc::gen::set(&Pin::host), rc::gen::set(&Pin::instance)));
  });
  Packet packet = rig.packet(frame);
  packet.flow = *rc::gen::arbitrary<std::uint32_t>();
  packet.tag = *rc::gen::arbitrary<std::uint32_t>();
  packet.target = *rc::gen::arbitrary<std::uint16_t>();
  packet.step = *rc::gen::arbitrary<std::uint8_t>();
  const Packet sent = packet;
  const Transit transit{.path = *rc::gen::inRange<std::uint32_t>(0, kPathMax + 1),
                        .chain_version = *rc::gen::arbitrary<std::uint32_t>(),
                        .entropy = *rc::gen::inRange<std::uint16_t>(0, 1 << 14),
                        .ttl = *rc::gen::inRange<std::uint8_t>(1, 64),
                        .pins = pins};
  RC_ASSERT(rig.encapsulate(packet, transit) == 1u);
  const TunnelError error = rig.decapsulate(packet);
  // Random bytes may be a tunnel of ours: about never, but then they are rightly refused.
  RC_PRE(error != TunnelError::kNested);
  RC_ASSERT(error == TunnelError::kNone);
  RC_ASSERT(packet == sent);
  RC_ASSERT(rig.frame(packet) == frame);
  const Transit got = rig.transit.view();
  RC_ASSERT(got.path == transit.path && got.chain_version == transit.chain_version);
  RC_ASSERT(got.entropy == transit.entropy && got.ttl == transit.ttl - 1);
  RC_ASSERT(std::ranges::equal(got.pins, pins));
}

// Whoever does not know the secret gets nothing in, but for one guess in 2^32.
RC_GTEST_PROP(Encapsulation, AnyOneBitOfTheTunnelMatters, ()) {
  const auto version = static_cast<std::uint8_t>(*rc::gen::element(4, 6));
  TunnelRig rig{version};
  const auto pins = test::pins(3);
  Packet packet = rig.packet(frames::udp({}));
  RC_ASSERT(rig.encapsulate(packet, {.pins = pins}) == 1u);
  // From IP to NSH: what follows the cookie is the sender's word, and over IPv4 without a checksum.
  const std::size_t end = 14u + (version == 4 ? 20 : 40) + 8 + 8 + 12 + 20;
  const auto bit = *rc::gen::inRange<std::size_t>(14 * 8, end * 8);
  const auto frame = rig.memory.bytes(packet);
  frame[bit / 8] ^= std::byte{1} << (bit % 8);
  const TunnelError error = rig.decapsulate(packet);
  if (version == 6) {
    // All of it is under the checksum, but for traffic class, flow label and hop limit.
    const bool covered = bit / 8 >= 14 + 8 || bit / 8 == 14 + 4 || bit / 8 == 14 + 5;
    RC_ASSERT(!covered || error != TunnelError::kNone);
  } else {
    // What a receiver need not believe: source port, flow, tag, version, path, TTL, reserved bits.
    const std::size_t nsh = 14 + 20 + 8 + 8;
    const std::size_t at = bit / 8;
    const bool free = (at >= 34 && at < 36) || (at >= 43 && at < 45) || at == 49 ||
                      (at >= nsh && at < nsh + 8) || (at >= nsh + 11 && at < nsh + 24);
    RC_ASSERT(free || error != TunnelError::kNone);
  }
}

}  // namespace
}  // namespace sluice
