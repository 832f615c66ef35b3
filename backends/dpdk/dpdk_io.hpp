#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "backends/dpdk/dpdk_memory.hpp"
#include "backends/dpdk/pace.hpp"
#include "backends/dpdk/pool_order.hpp"
#include "core/host/packet_io.hpp"
#include "core/packet/packet_batch.hpp"

namespace sluice::dpdk {

/// The PacketIo of one worker: the ports of its host, and the pool of the packet memory, whose
/// cache is the calling thread's (which DPDK must know, rte_thread_register).
class DpdkIo {
 public:
  /// `port_numbers` are DPDK's, by PortId.
  DpdkIo(const DpdkMemory& memory, std::vector<std::uint16_t> port_numbers)
      : memory_(memory), numbers_(std::move(port_numbers)), paces_(numbers_.size()) {}

  /// Takes frames from `port` no faster; 0: as they come.
  void set_pace(PortId port, Rate rate) { paces_[index_of(port)] = Pace{rate}; }

  /// What Packet::arrival says of all that is received from now on.
  void set_now(Instant now) noexcept { arrival_ = to_ns(now); }

  std::uint32_t receive(PortId port, PacketBatch& batch) noexcept {
    std::array<rte_mbuf*, PacketBatch::kCapacity> mbufs;
    Pace& pace = paces_[index_of(port)];
    const std::uint16_t due =
        pace.due(instant_from_ns(arrival_), static_cast<std::uint16_t>(batch.room()));
    if (due == 0) return 0;
    const std::uint16_t count = rte_eth_rx_burst(numbers_[index_of(port)], 0, mbufs.data(), due);
    if (count == 0) return 0;
    for (std::uint32_t i = 0; i < count; ++i) after_getting_from_dpdk(mbufs[i]);
    if (pace.holds()) {
      std::uint64_t size_bytes = 0;
      for (std::uint32_t i = 0; i < count; ++i) size_bytes += mbufs[i]->pkt_len;
      pace.took(count, size_bytes);
    }
    std::uint32_t lost = 0;
    const std::uint32_t before = batch.size();
    batch.resize(before + count);
    Packet* packet = batch.data() + before;
    for (std::uint32_t i = 0; i < count; ++i) {
      rte_mbuf& mbuf = *mbufs[i];
      if (mbuf.nb_segs != 1) [[unlikely]] {  // Longer than a buffer.
        before_giving_to_dpdk(&mbuf);
        rte_pktmbuf_free(&mbuf);
        ++lost;
        continue;
      }
      const auto offset = static_cast<std::uint16_t>(mbuf.data_off + DpdkMemory::kPinOffset);
      *packet++ = Packet{.buffer = memory_.buffer_of(mbuf),
                         .offset = offset,
                         .length = mbuf.data_len,
                         .flow = kNoFlow,
                         .tag = 0,
                         .chain = 0xffff,
                         .step = 0,
                         .verdict = Verdict::kUndecided,
                         .target = 0xffff,
                         .ingress = index_of(port),
                         .arrival = arrival_};
    }
    batch.resize(before + count - lost);
    return lost;
  }

  std::uint32_t transmit(PortId port, std::span<const Packet> packets) noexcept {
    std::array<rte_mbuf*, kTransmitMax> mbufs;
    std::uint32_t sent = 0;
    while (sent < packets.size()) {
      const auto part =
          packets.subspan(sent, std::min<std::size_t>(kTransmitMax, packets.size() - sent));
      for (std::size_t i = 0; i < part.size(); ++i) {
        mbufs[i] = prepare(part[i]);
        before_giving_to_dpdk(mbufs[i]);
      }
      const std::uint16_t count = rte_eth_tx_burst(numbers_[index_of(port)], 0, mbufs.data(),
                                                   static_cast<std::uint16_t>(part.size()));
      sent += count;
      if (count < part.size()) break;
    }
    return sent;
  }

  std::uint32_t allocate(std::span<std::uint32_t> to_fill) noexcept {
    std::array<rte_mbuf*, kTransmitMax> mbufs;
    std::uint32_t filled = 0;
    while (filled < to_fill.size()) {
      auto count =
          static_cast<std::uint32_t>(std::min<std::size_t>(kTransmitMax, to_fill.size() - filled));
      // All or none, says the pool; near its end we take the rest one by one.
      if (rte_pktmbuf_alloc_bulk(memory_.pool(), mbufs.data(), count) != 0) {
        count = 1;
        if (rte_pktmbuf_alloc_bulk(memory_.pool(), mbufs.data(), count) != 0) return filled;
      }
      for (std::uint32_t i = 0; i < count; ++i) {
        after_getting_from_dpdk(mbufs[i]);
        to_fill[filled++] = memory_.buffer_of(*mbufs[i]);
      }
    }
    return filled;
  }

  /// The mbufs are whole and unshared, as they came: straight back into the pool.
  void release(std::span<const std::uint32_t> to_free) noexcept {
    std::array<void*, kTransmitMax> mbufs;
    while (!to_free.empty()) {
      const std::size_t count = std::min<std::size_t>(kTransmitMax, to_free.size());
      for (std::size_t i = 0; i < count; ++i) {
        mbufs[i] = memory_.mbuf(to_free[i]);
        before_giving_to_dpdk(mbufs[i]);
      }
      rte_mempool_put_bulk(memory_.pool(), mbufs.data(), static_cast<unsigned>(count));
      to_free = to_free.subspan(count);
    }
  }

 private:
  static constexpr std::size_t kTransmitMax = 64;

  /// The mbuf of a packet's buffer, set to its frame.
  rte_mbuf* prepare(const Packet& packet) noexcept {
    rte_mbuf* mbuf = memory_.mbuf(packet.buffer);
    std::uint16_t offset = packet.offset;
    if (offset < DpdkMemory::kPinOffset) [[unlikely]] {  // Its headers grew into what DPDK cannot
                                                         // name: move it.
      const auto buffer = memory_.packets().buffer(packet.buffer);
      std::memmove(buffer.data() + DpdkMemory::kPinOffset, buffer.data() + offset, packet.length);
      offset = DpdkMemory::kPinOffset;
    }
    mbuf->data_off = static_cast<std::uint16_t>(offset - DpdkMemory::kPinOffset);
    mbuf->data_len = packet.length;
    mbuf->pkt_len = packet.length;
    return mbuf;
  }

  const DpdkMemory& memory_;
  std::vector<std::uint16_t> numbers_;  ///< DPDK's, by PortId.
  std::vector<Pace> paces_;             ///< By PortId.
  std::uint64_t arrival_ = 0;
};
static_assert(PacketIo<DpdkIo>);

}  // namespace sluice::dpdk
