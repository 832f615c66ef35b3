#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/dpdk/dpdk_io.hpp"
#include "backends/dpdk/dpdk_memory.hpp"
#include "backends/dpdk/eal.hpp"
#include "backends/process/idle.hpp"
#include "core/check.hpp"
#include "tests/conformance/packet_io_suite.hpp"

namespace sluice::conformance {
namespace {

void start_eal() {
  static const auto eal = [] {
    dpdk::Eal::Options options;
    options.memory_mb = 64;
    options.extra = {"--no-telemetry"};
    return dpdk::Eal::start(options);
  }();
  SLUICE_CHECK(eal.has_value());
}

/// A NIC without hardware: DPDK's ring port, behind which frames of a pool of the outside wait.
/// Receiving copies each into a buffer of the host, as a NIC would; one that finds no buffer, or
/// does not fit, comes as a chain of two segments, as drivers give it to who cannot take it whole.
class RingNic {
 public:
  RingNic(dpdk::DpdkMemory& memory, std::uint32_t queue_frames) : memory_(memory) {
    static std::uint32_t count = 0;
    const std::string name = "nic" + std::to_string(count++);
    outside_ = rte_pktmbuf_pool_create((name + "o").c_str(), 255, 0, 0, 4096, SOCKET_ID_ANY);
    in_ = make_ring(name + "i", 256);
    out_ = make_ring(name + "t", queue_frames);
    const int port = rte_eth_from_rings(name.c_str(), &in_, 1, &out_, 1, 0);
    SLUICE_CHECK(outside_ != nullptr && port >= 0);
    number_ = static_cast<std::uint16_t>(port);
    const rte_eth_conf config{};
    SLUICE_CHECK(rte_eth_dev_configure(number_, 1, 1, &config) == 0);
    SLUICE_CHECK(rte_eth_rx_queue_setup(number_, 0, 64, 0, nullptr, memory.pool()) == 0);
    SLUICE_CHECK(rte_eth_tx_queue_setup(number_, 0, 64, 0, nullptr) == 0);
    SLUICE_CHECK(rte_eth_dev_start(number_) == 0);
    callback_ = rte_eth_add_rx_callback(number_, 0, take_in, this);
    SLUICE_CHECK(callback_ != nullptr);
  }
  ~RingNic() {
    settle();
    // It would outlive the port, and meet the next one of this number.
    SLUICE_CHECK(rte_eth_remove_rx_callback(number_, 0, callback_) == 0);
    void* frame = nullptr;
    while (rte_ring_dequeue(in_, &frame) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
    rte_eth_dev_stop(number_);
    rte_eth_dev_close(number_);
    rte_ring_free(in_);
    rte_ring_free(out_);
    rte_mempool_free(outside_);
  }
  RingNic(const RingNic&) = delete;
  RingNic& operator=(const RingNic&) = delete;

  void offer(const frames::Bytes& frame) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(outside_);
    SLUICE_CHECK(mbuf != nullptr);
    void* data = rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size()));
    SLUICE_CHECK(data != nullptr);
    std::memcpy(data, frame.data(), frame.size());
    SLUICE_CHECK(rte_ring_enqueue(in_, mbuf) == 0);
  }
  /// Takes what was sent off the wire.
  void settle() {
    void* frame = nullptr;
    while (rte_ring_dequeue(out_, &frame) == 0) {
      auto* mbuf = static_cast<rte_mbuf*>(frame);
      const auto* bytes = rte_pktmbuf_mtod(mbuf, const std::byte*);
      sent_.emplace_back(bytes, bytes + mbuf->data_len);
      rte_pktmbuf_free(mbuf);
    }
  }
  [[nodiscard]] const std::vector<frames::Bytes>& sent() const { return sent_; }
  [[nodiscard]] std::uint16_t number() const { return number_; }

 private:
  static rte_ring* make_ring(const std::string& name, std::uint32_t count) {
    rte_ring* ring = rte_ring_create(name.c_str(), count, SOCKET_ID_ANY,
                                     RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
    SLUICE_CHECK(ring != nullptr);
    return ring;
  }
  static std::uint16_t take_in(std::uint16_t, std::uint16_t, rte_mbuf** mbufs, std::uint16_t count,
                               std::uint16_t, void* self) {
    auto& nic = *static_cast<RingNic*>(self);
    for (std::uint16_t i = 0; i < count; ++i) {
      rte_mbuf* mine = rte_pktmbuf_alloc(nic.memory_.pool());
      void* data = mine == nullptr ? nullptr : rte_pktmbuf_append(mine, mbufs[i]->data_len);
      if (data == nullptr) {
        rte_pktmbuf_free(mine);
        SLUICE_CHECK(rte_pktmbuf_chain(mbufs[i], rte_pktmbuf_alloc(nic.outside_)) == 0);
        continue;
      }
      std::memcpy(data, rte_pktmbuf_mtod(mbufs[i], void*), mbufs[i]->data_len);
      rte_pktmbuf_free(mbufs[i]);
      mbufs[i] = mine;
    }
    return count;
  }

  dpdk::DpdkMemory& memory_;
  rte_mempool* outside_ = nullptr;
  rte_ring* in_ = nullptr;
  rte_ring* out_ = nullptr;
  const rte_eth_rxtx_callback* callback_ = nullptr;
  std::uint16_t number_ = 0;
  std::vector<frames::Bytes> sent_;
};

/// DPDK's packet memory with two such NICs.
class DpdkEnd {
 public:
  static constexpr std::size_t kHeaderBytesLost = 0;

  explicit DpdkEnd(const EndOptions& options)
      : memory_(make_memory(options)),
        first_(*memory_, options.queue_frames),
        second_(*memory_, options.queue_frames),
        io_(*memory_, {first_.number(), second_.number()}) {}

  auto& io() {
    io_.set_now(now());
    return io_;
  }
  PacketMemory memory() { return memory_->packets(); }
  std::uint32_t available() { return memory_->available(); }
  static Instant now() { return monotonic_now(); }
  void offer(PortId port, const frames::Bytes& frame) { nic(port).offer(frame); }
  void settle() {
    first_.settle();
    second_.settle();
  }
  std::vector<frames::Bytes> sent(PortId port) { return nic(port).sent(); }

 private:
  static std::unique_ptr<dpdk::DpdkMemory> make_memory(const EndOptions& options) {
    start_eal();
    auto memory = dpdk::DpdkMemory::create(
        {.buffer_count = options.buffer_count, .buffer_size = options.buffer_size});
    SLUICE_CHECK(memory.has_value());
    return std::move(*memory);
  }
  RingNic& nic(PortId port) { return index_of(port) == 0 ? first_ : second_; }

  std::unique_ptr<dpdk::DpdkMemory> memory_;
  RingNic first_, second_;
  dpdk::DpdkIo io_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Dpdk, PacketIoSuite, DpdkEnd);

}  // namespace
}  // namespace sluice::conformance
