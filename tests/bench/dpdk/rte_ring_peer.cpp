#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <cstdlib>
#include <memory>

#include "core/check.hpp"
#include "tests/bench/dpdk/rte_peers.hpp"

namespace sluice::bench {
namespace {

constexpr unsigned kFlags = RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ;

struct Free {
  void operator()(rte_ring* ring) const { std::free(ring); }
};

/// A ring of `Element`s in ordinary memory; needs no EAL.
template <class Element>
class RteRing {
 public:
  RteRing() {
    const ssize_t size = rte_ring_get_memsize_elem(sizeof(Element), 2 * kRingCapacity);
    SLUICE_CHECK(size > 0);
    ring_.reset(static_cast<rte_ring*>(std::aligned_alloc(
        RTE_CACHE_LINE_SIZE,
        RTE_ALIGN(static_cast<std::size_t>(size), std::size_t{RTE_CACHE_LINE_SIZE}))));
    SLUICE_CHECK(ring_ != nullptr);
    // Exact: else a ring of a power of two holds one element less than ours.
    SLUICE_CHECK(rte_ring_init(ring_.get(), "peer", kRingCapacity, kFlags) == 0);
  }
  std::uint32_t enqueue(std::span<const Element> elements) noexcept {
    return rte_ring_sp_enqueue_burst_elem(ring_.get(), elements.data(), sizeof(Element),
                                          static_cast<unsigned>(elements.size()), nullptr);
  }
  std::uint32_t dequeue(std::span<Element> out) noexcept {
    return rte_ring_sc_dequeue_burst_elem(ring_.get(), out.data(), sizeof(Element),
                                          static_cast<unsigned>(out.size()), nullptr);
  }

 private:
  std::unique_ptr<rte_ring, Free> ring_;
};

}  // namespace

RingResult rte_ring_between_threads(std::uint64_t lap_count) {
  RteRing<Packet> ring;
  return between_threads<Packet>(ring, lap_count);
}

RingResult rte_ring_in_one_thread(std::uint64_t lap_count) {
  RteRing<Packet> ring;
  return in_one_thread<Packet>(ring, lap_count);
}

RingResult rte_ring_of_pointers_between_threads(std::uint64_t lap_count) {
  RteRing<void*> ring;
  return between_threads<void*>(ring, lap_count);
}

RingResult rte_ring_of_pointers_in_one_thread(std::uint64_t lap_count) {
  RteRing<void*> ring;
  return in_one_thread<void*>(ring, lap_count);
}

}  // namespace sluice::bench
