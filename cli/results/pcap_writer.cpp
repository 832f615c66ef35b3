#include "cli/results/pcap_writer.hpp"

#include <array>
#include <cstdint>

#include "core/packet/bytes.hpp"

namespace sluice::cli {
namespace {

template <std::size_t kCount>
void write_words(std::ofstream& stream, const std::array<std::uint32_t, kCount>& words) {
  std::array<std::byte, 4 * kCount> bytes;
  for (std::size_t i = 0; i < kCount; ++i) store_le32(&bytes[4 * i], words[i]);
  stream.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

PcapWriter::PcapWriter(const std::string& path) : stream_(path, std::ios::binary) {
  constexpr std::uint32_t kMagicNanoseconds = 0xa1b23c4d, kVersion = 4u << 16 | 2,
                          kLengthMax = 65535, kEthernet = 1;
  write_words<6>(stream_, {kMagicNanoseconds, kVersion, 0, 0, kLengthMax, kEthernet});
}

void PcapWriter::add(Instant at, std::span<const std::byte> frame) {
  const std::uint64_t ns = to_ns(at);
  const auto length = static_cast<std::uint32_t>(frame.size());
  write_words<4>(stream_, {static_cast<std::uint32_t>(ns / 1'000'000'000),
                           static_cast<std::uint32_t>(ns % 1'000'000'000), length, length});
  stream_.write(reinterpret_cast<const char*>(frame.data()),
                static_cast<std::streamsize>(frame.size()));
}

bool PcapWriter::close() {
  stream_.close();
  return static_cast<bool>(stream_);
}

}  // namespace sluice::cli
