#include "cli/results/pcap_writer.hpp"

#include <gtest/gtest.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace sluice::cli {
namespace {

using namespace std::chrono_literals;

TEST(PcapWriter, WritesFramesWithNanosecondsAsLibpcapReadsThem) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("sluice_pcap_writer_" + std::to_string(::getpid()) + ".pcap");
  const std::vector<std::byte> first(60, std::byte{1}), second(1514, std::byte{2});
  {
    PcapWriter writer(path.string());
    writer.add(Instant{1'000'000'001ns}, first);
    writer.add(Instant{2'123'456'789ns}, second);
    EXPECT_TRUE(writer.close());
  }
  char error[PCAP_ERRBUF_SIZE];
  pcap_t* const file =
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  ASSERT_NE(file, nullptr) << error;
  EXPECT_EQ(pcap_datalink(file), DLT_EN10MB);
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  ASSERT_EQ(pcap_next_ex(file, &header, &bytes), 1);
  EXPECT_EQ(header->ts.tv_sec, 1);
  EXPECT_EQ(header->ts.tv_usec, 1);  // Nanoseconds, at this precision.
  ASSERT_EQ(header->caplen, 60u);
  EXPECT_EQ(header->len, 60u);
  EXPECT_EQ(std::memcmp(bytes, first.data(), first.size()), 0);
  ASSERT_EQ(pcap_next_ex(file, &header, &bytes), 1);
  EXPECT_EQ(header->ts.tv_sec, 2);
  EXPECT_EQ(header->ts.tv_usec, 123'456'789);
  ASSERT_EQ(header->caplen, 1514u);
  EXPECT_EQ(std::memcmp(bytes, second.data(), second.size()), 0);
  EXPECT_EQ(pcap_next_ex(file, &header, &bytes), PCAP_ERROR_BREAK);
  pcap_close(file);
  std::filesystem::remove(path);
}

TEST(PcapWriter, SaysThatItCannotWrite) {
  PcapWriter writer("/nowhere/at/all.pcap");
  EXPECT_FALSE(writer.close());
}

}  // namespace
}  // namespace sluice::cli
