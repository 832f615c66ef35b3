#include "sim/workload/capture.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/sim/pcap_bytes.hpp"

namespace sluice::sim {
namespace {

const std::string kFrame(60, 'x');

std::string error_of(const std::string& file, const Capture::Options& options = {}) {
  const auto capture = Capture::parse(file, "web.pcap", options);
  return capture ? "accepted" : capture.error().to_string();
}

TEST(Capture, ReadsMicroAndNanosecondsInBothByteOrders) {
  PcapBytes micro;
  micro.add(10, 5, kFrame);
  micro.add(11, 7, kFrame + "yz");
  const auto capture = Capture::parse(micro.text, "web.pcap", {});
  ASSERT_TRUE(capture) << capture.error().to_string();
  ASSERT_EQ(capture->frames().size(), 2u);
  EXPECT_EQ(capture->frames()[1].at.count(), 1'000'002'000);
  EXPECT_EQ(capture->frames()[1].length, 62);
  EXPECT_EQ(static_cast<char>(capture->bytes(capture->frames()[1])[60]), 'y');
  EXPECT_EQ(capture->size_bytes(), 122u);

  PcapBytes nano(1, 0xa1b23c4du);
  nano.add(10, 5, kFrame);
  nano.add(10, 12, kFrame);
  const auto second = Capture::parse(nano.text, "web.pcap", {});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->frames()[1].at.count(), 7);

  std::string swapped = micro.text;
  const auto swap4 = [&](std::size_t at) {
    std::swap(swapped[at], swapped[at + 3]);
    std::swap(swapped[at + 1], swapped[at + 2]);
  };
  const auto swap2 = [&](std::size_t at) { std::swap(swapped[at], swapped[at + 1]); };
  swap4(0), swap2(4), swap2(6), swap4(8), swap4(12), swap4(16), swap4(20);
  for (const std::size_t record : {std::size_t{24}, std::size_t{24 + 16 + 60}}) {
    for (std::size_t i = 0; i < 4; ++i) swap4(record + 4 * i);
  }
  const auto third = Capture::parse(swapped, "web.pcap", {});
  ASSERT_TRUE(third) << third.error().to_string();
  EXPECT_EQ(third->frames()[1].at.count(), 1'000'002'000);
}

TEST(Capture, ReadsPcapng) {
  PcapBytes file;
  file.text.clear();
  const auto block = [&](std::uint32_t type, const std::string& body) {
    file.add32(type);
    file.add32(static_cast<std::uint32_t>(body.size() + 12));
    file.text += body;
    file.add32(static_cast<std::uint32_t>(body.size() + 12));
  };
  block(0x0a0d0d0a, std::string("\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  block(1, std::string("\x01\0\0\0\0\0\4\0", 8));
  block(6, std::string("\0\0\0\0\0\0\0\0\x0a\0\0\0\x3c\0\0\0\x3c\0\0\0", 20) + kFrame);
  const auto capture = Capture::parse(file.text, "web.pcapng", {});
  ASSERT_TRUE(capture) << capture.error().to_string();
  EXPECT_EQ(capture->frames().size(), 1u);
}

TEST(Capture, TimeNeverGoesBack) {
  PcapBytes file;
  file.add(10, 0, kFrame);
  file.add(9, 0, kFrame);
  file.add(12, 0, kFrame);
  const auto capture = Capture::parse(file.text, "web.pcap", {});
  ASSERT_TRUE(capture);
  EXPECT_EQ(capture->frames()[1].at.count(), 0);
  EXPECT_EQ(capture->duration(), std::chrono::seconds{2});
}

TEST(Capture, EachBadFileIsOneClearError) {
  EXPECT_EQ(error_of(""),
            "web.pcap: capture is empty; got 0 bytes; expected a pcap or pcapng file");
  EXPECT_EQ(error_of("name: autoscale\nhosts: {}\n"),
            "web.pcap: not a capture; got unknown file format; expected a pcap or pcapng file");
  EXPECT_EQ(error_of(PcapBytes().text.substr(0, 10)),
            "web.pcap: not a capture; got truncated dump file; tried to read 24 file header "
            "bytes, only got 6; expected a pcap or pcapng file");
  EXPECT_EQ(error_of(PcapBytes().text),
            "web.pcap: capture has no frames; got 0; expected at least 1");
  EXPECT_EQ(error_of(PcapBytes(113).text),
            "web.pcap: capture is of another link type; got LINUX_SLL; expected Ethernet "
            "(EN10MB)");
  PcapBytes cut;
  cut.add(1, 0, kFrame, 40);
  EXPECT_EQ(error_of(cut.text),
            "web.pcap: frame 1 is cut short; got 60 of 100 bytes; expected whole frames (capture "
            "with -s 0)");
  PcapBytes truncated;
  truncated.add(1, 0, kFrame);
  truncated.add(1, 0, kFrame);
  truncated.text.resize(truncated.text.size() - 5);
  EXPECT_EQ(error_of(truncated.text),
            "web.pcap: frame 2 cannot be read; got truncated dump file; tried to read 60 captured "
            "bytes, only got 55; expected a whole frame");
  PcapBytes tiny;
  tiny.add(1, 0, "short");
  EXPECT_EQ(error_of(tiny.text),
            "web.pcap: frame 1 has a bad size; got 5 bytes; expected 14..1522");
  PcapBytes jumbo;
  jumbo.add(1, 0, std::string(9000, 'x'));
  EXPECT_EQ(error_of(jumbo.text),
            "web.pcap: frame 1 has a bad size; got 9000 bytes; expected 14..1522");
}

TEST(Capture, LimitsAreKept) {
  PcapBytes file;
  for (int i = 0; i < 3; ++i) file.add(1, 0, kFrame);
  Capture::Options few;
  few.frame_count_max = 2;
  EXPECT_EQ(error_of(file.text, few),
            "web.pcap: capture has too many frames; got more; expected at most 2");
  Capture::Options small;
  small.size_bytes_max = 100;
  EXPECT_EQ(error_of(file.text, small),
            "web.pcap: capture is too large; got 252 bytes; expected at most 100");
}

TEST(Capture, ACaptureOfManyYearsIsRefused) {  // Found by pcap_fuzz: passes overflowed.
  PcapBytes file;
  file.add(0, 0, kFrame);
  file.add(2'000'000'000u, 0, kFrame);
  EXPECT_EQ(error_of(file.text),
            "web.pcap: capture lasts too long; got 2000000000 s up to frame 2; expected at most "
            "31536000 s");
}

TEST(Capture, FilesThatCannotBeReadSaySo) {
  const auto folder = std::filesystem::temp_directory_path();
  const auto missing = Capture::load("/nowhere/web.pcap", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().to_string(),
            "/nowhere/web.pcap: cannot be read; got no such file; expected a pcap or pcapng file");
  const auto directory = Capture::load(folder.string(), {});
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().got, "not a regular file");
}

}  // namespace
}  // namespace sluice::sim
