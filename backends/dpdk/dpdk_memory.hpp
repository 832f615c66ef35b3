#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/process/shared_memory.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice::dpdk {

/// The host's packet memory as DPDK sees it: one memfd that NF processes map too, registered as
/// external memory, with a pool of mbufs whose buffers are pinned to it. Mbuf and buffer index
/// belong together for ever.
///
/// A pinned buffer begins kPinOffset bytes into ours, so that DPDK's headroom of 128 bytes and ours
/// of 256 end at the same place. Buffers are free when their mbuf is in the pool.
class DpdkMemory {
 public:
  static constexpr std::uint16_t kPinOffset = kHeadroom - RTE_PKTMBUF_HEADROOM;

  struct Options {
    std::string name = "sluice";
    std::uint32_t buffer_count = 8192;
    std::uint32_t buffer_size = 2048;  ///< Bytes, headroom included; above kHeadroom.
    SharedMemory::Pages pages = SharedMemory::Pages::kOrdinary;
  };
  [[nodiscard]] static Result<std::unique_ptr<DpdkMemory>, std::string> create(
      const Options& options);
  ~DpdkMemory();
  DpdkMemory(const DpdkMemory&) = delete;
  DpdkMemory& operator=(const DpdkMemory&) = delete;

  [[nodiscard]] PacketMemory packets() const { return packets_; }
  /// For handing on to NF processes.
  [[nodiscard]] int fd() const { return memory_.fd(); }
  [[nodiscard]] SharedMemory::Pages pages() const { return memory_.pages(); }
  [[nodiscard]] rte_mempool* pool() const { return pool_; }
  [[nodiscard]] rte_mbuf* mbuf(std::uint32_t buffer) const noexcept { return mbufs_[buffer]; }
  [[nodiscard]] std::uint32_t buffer_of(const rte_mbuf& mbuf) const noexcept {
    const auto distance =
        static_cast<std::size_t>(static_cast<const std::byte*>(mbuf.buf_addr) - first_);
    return static_cast<std::uint32_t>(shift_ != 0 ? distance >> shift_ : distance / buffer_size_);
  }
  /// How many buffers are free; exact only while no thread uses the pool.
  [[nodiscard]] std::uint32_t available() const;

 private:
  DpdkMemory() = default;

  SharedMemory memory_;
  PacketMemory packets_;
  rte_mempool* pool_ = nullptr;
  std::vector<rte_mbuf*> mbufs_;  ///< By buffer index.
  const std::byte* first_ = nullptr;
  std::uint32_t buffer_size_ = 0;
  std::uint32_t shift_ = 0;  ///< Of a buffer size that is a power of two; else 0.
  bool registered_ = false;
};

}  // namespace sluice::dpdk
