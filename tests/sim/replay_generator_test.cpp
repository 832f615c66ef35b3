#include "sim/workload/replay_generator.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sim/workload/capture.hpp"
#include "tests/sim/frames.hpp"
#include "tests/sim/pcap_bytes.hpp"

namespace sluice::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Spec {
  const char* source;
  const char* destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::uint8_t flags = 0;  ///< 0: UDP.
  std::uint16_t payload = 20;
};

/// An Ethernet frame of TCP or UDP over IPv4 or IPv6, with right checksums.
std::string make_frame(const Spec& spec) {
  const auto source = *IpAddress::parse(spec.source);
  const auto destination = *IpAddress::parse(spec.destination);
  const bool v6 = source.ip_version == 6;
  const std::size_t l4 = 14 + (v6 ? 40u : 20u);
  const std::size_t l4_size = (spec.flags != 0 ? 20u : 8u) + spec.payload;
  std::vector<std::byte> frame(l4 + l4_size, std::byte{0x5a});
  store_be16(&frame[12], v6 ? 0x86dd : 0x0800);
  std::byte* ip = &frame[14];
  std::memset(ip, 0, v6 ? 40 : 20);
  const std::uint8_t protocol = spec.flags != 0 ? 6 : 17;
  if (v6) {
    store_be32(ip, 0x60000000);
    store_be16(ip + 4, static_cast<std::uint16_t>(l4_size));
    store_be16(ip + 6, static_cast<std::uint16_t>(protocol << 8 | 64));
    std::memcpy(ip + 8, source.bytes.data(), 16);
    std::memcpy(ip + 24, destination.bytes.data(), 16);
  } else {
    store_be16(ip, 0x4500);
    store_be16(ip + 2, static_cast<std::uint16_t>(20 + l4_size));
    store_be16(ip + 8, static_cast<std::uint16_t>(64 << 8 | protocol));
    std::memcpy(ip + 12, source.bytes.data(), 4);
    std::memcpy(ip + 16, destination.bytes.data(), 4);
    store_be16(ip + 10, internet_checksum({ip, 20}));
  }
  store_be16(&frame[l4], spec.source_port);
  store_be16(&frame[l4 + 2], spec.destination_port);
  if (spec.flags != 0) {
    store_be32(&frame[l4 + 4], 1);
    store_be32(&frame[l4 + 8], 1);
    store_be16(&frame[l4 + 12], static_cast<std::uint16_t>(5u << 12 | spec.flags));
    store_be32(&frame[l4 + 14], 0);
    store_be16(&frame[l4 + 18], 0);
  } else {
    store_be16(&frame[l4 + 4], static_cast<std::uint16_t>(l4_size));
    store_be16(&frame[l4 + 6], 0xabcd);  // Not 0, which would mean none.
  }
  const auto headers = parse(frame);
  if (headers) write_checksums(frame, *headers);
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

const std::vector<Spec> kSessions = {
    {"10.1.2.3", "10.9.9.9", 40000, 80, kTcpSyn},
    {"10.9.9.9", "10.1.2.3", 80, 40000, kTcpSyn | kTcpAck},
    {"10.1.2.3", "10.9.9.9", 40000, 80, kTcpAck, 101},
    {"10.9.9.9", "10.1.2.3", 80, 40000, kTcpAck, 1400},
    {"10.1.2.4", "10.9.9.9", 53000, 53},
    {"10.9.9.9", "10.1.2.4", 53, 53000},
    {"2001:db8::1", "2001:db8::99", 44444, 443, kTcpSyn},
    {"2001:db8::99", "2001:db8::1", 443, 44444, kTcpSyn | kTcpAck},
    {"10.9.9.9", "10.1.2.5", 80, 41000, kTcpAck},  // From the middle: the server's first.
    {"10.1.2.5", "10.9.9.9", 41000, 80, kTcpAck},
};

std::shared_ptr<const Capture> capture_of(const std::vector<std::string>& frames,
                                          std::uint32_t gap_us = 100) {
  PcapBytes file;
  std::uint32_t at_us = 0;
  for (const std::string& frame : frames) {
    file.add(1'700'000'000, at_us, frame);
    at_us += gap_us;
  }
  auto capture = Capture::parse(file.text, "test.pcap", {});
  EXPECT_TRUE(capture) << capture.error().to_string();
  return std::make_shared<const Capture>(std::move(*capture));
}

std::shared_ptr<const Capture> sessions() {
  std::vector<std::string> frames;
  for (const Spec& spec : kSessions) frames.push_back(make_frame(spec));
  return capture_of(frames);
}

ReplayGenerator::Options options(std::uint64_t seed = 1) {
  ReplayGenerator::Options result;
  result.stop = Instant{seconds{10}};
  result.seed = seed;
  return result;
}

std::string text_of(const FlowKey& key) {
  return {reinterpret_cast<const char*>(&key), sizeof key};
}

TEST(ReplayGenerator, BothDirectionsOfASessionAreRewrittenAlike) {
  auto with = options();
  with.pass_count_max = 50;
  ReplayGenerator generator(sessions(), with);
  const auto frames = all_frames(generator, 10'000);
  ASSERT_EQ(frames.size(), 50 * kSessions.size());
  for (std::size_t i = 0; i < frames.size(); i += 2) {
    EXPECT_EQ(frames[i].key, frames[i + 1].key.reversed(kNoPort)) << i;
  }
  EXPECT_EQ(frames[0].key, frames[2].key);
}

TEST(ReplayGenerator, EachPassBringsNewFlowsToTheSameServers) {
  auto with = options();
  with.pass_count_max = 200;
  ReplayGenerator generator(sessions(), with);
  const auto frames = all_frames(generator, 10'000);
  std::set<std::string> flows;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Spec& spec = kSessions[i % kSessions.size()];
    const bool to_server = spec.destination_port < 1024;
    const FlowKey key = to_server ? frames[i].key : frames[i].key.reversed(kNoPort);
    EXPECT_EQ(key.destination_port, to_server ? spec.destination_port : spec.source_port);
    EXPECT_EQ(key.destination, IpAddress::parse(to_server ? spec.destination : spec.source)->bytes);
    EXPECT_GE(key.source_port, 1024);
    EXPECT_EQ(key.source[0], key.ip_version == 4 ? 10 : 0x20);
    flows.insert(text_of(key));
  }
  EXPECT_EQ(flows.size(), 200u * 4);  // Four sessions a pass.
}

TEST(ReplayGenerator, ChecksumsStayRight) {
  auto with = options();
  with.pass_count_max = 100;
  ReplayGenerator generator(sessions(), with);
  for (const SeenFrame& frame : all_frames(generator, 10'000)) {
    ASSERT_EQ(frame.checksum, ChecksumState::kRight);
  }
}

TEST(ReplayGenerator, AWrongChecksumStaysWrong) {
  std::string frame = make_frame(kSessions[4]);
  frame.back() = static_cast<char>(frame.back() + 1);
  auto with = options();
  with.pass_count_max = 20;
  ReplayGenerator generator(capture_of({frame}), with);
  for (const SeenFrame& each : all_frames(generator, 100)) {
    EXPECT_EQ(each.checksum, ChecksumState::kWrong);
  }
}

TEST(ReplayGenerator, WithoutRewritingFramesAreAsCaptured) {
  auto with = options();
  with.rewrite = false;
  with.pass_count_max = 2;
  const auto capture = sessions();
  ReplayGenerator generator(capture, with);
  std::array<std::byte, 2048> room;
  for (int pass = 0; pass < 2; ++pass) {
    for (const Capture::Frame& frame : capture->frames()) {
      const auto got = generator.next(room);
      ASSERT_TRUE(got);
      ASSERT_EQ(got->length, frame.length);
      const auto bytes = capture->bytes(frame);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), room.begin()));
    }
  }
  EXPECT_FALSE(generator.next(room));
}

TEST(ReplayGenerator, FramesThatAreNotIpPassAsTheyAre) {
  std::string arp(60, '\0');
  arp[12] = 8;
  arp[13] = 6;
  const auto capture = capture_of({arp, std::string(60, 'x')});
  auto with = options();
  with.pass_count_max = 1;
  ReplayGenerator generator(capture, with);
  std::array<std::byte, 2048> room;
  for (const Capture::Frame& frame : capture->frames()) {
    ASSERT_TRUE(generator.next(room));
    const auto bytes = capture->bytes(frame);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), room.begin()));
  }
}

TEST(ReplayGenerator, AtItsOwnPaceItKeepsTheGapsAndPutsOneBetweenPasses) {
  auto with = options();
  with.start = Instant{milliseconds{5}};
  with.pass_count_max = 2;
  ReplayGenerator generator(sessions(), with);
  const auto frames = all_frames(generator, 100);
  ASSERT_EQ(frames.size(), 20u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(frames[i].at, milliseconds{5} + microseconds{100 * static_cast<int>(i)});
    // The mean gap of 900 us over 10 frames is 90 us.
    EXPECT_EQ(frames[i + 10].at - frames[i].at, microseconds{990});
  }
}

TEST(ReplayGenerator, PacedByARateItFollowsTheCurve) {
  auto with = options();
  with.rate = {{Duration::zero(), Rate{100'000'000}}, {milliseconds{100}, Rate{900'000'000}}};
  with.stop = Instant{milliseconds{100}};
  ReplayGenerator generator(sessions(), with);
  const auto frames = all_frames(generator, 1'000'000);
  RateCurve curve(with.rate);
  double bits = 0;
  for (const SeenFrame& frame : frames) {
    EXPECT_NEAR(curve.bits_at(frame.at), bits, 2.0);  // To the nanosecond.
    bits += 8.0 * frame.length;
  }
  EXPECT_NEAR(bits, 5e7, 8 * 1500);
}

TEST(ReplayGenerator, SeedDecides) {
  const auto trace = [](std::uint64_t seed) {
    ReplayGenerator generator(sessions(), options(seed));
    std::string text;
    for (const SeenFrame& frame : all_frames(generator, 30)) text += text_of(frame.key);
    return text;
  };
  EXPECT_EQ(trace(7), trace(7));
  EXPECT_NE(trace(7), trace(8));
}

TEST(ReplayGenerator, ACaptureOfOneMomentDoesNotLoopForEver) {
  ReplayGenerator generator(capture_of({make_frame(kSessions[0])}), options());
  EXPECT_EQ(all_frames(generator, 100).back().at, microseconds{99});
}

}  // namespace
}  // namespace sluice::sim
