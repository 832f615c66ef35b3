#include "backends/dpdk/dpdk_memory.hpp"

#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_mempool.h>

#include <bit>
#include <utility>

#include "backends/dpdk/eal.hpp"
#include "core/check.hpp"

namespace sluice::dpdk {
namespace {

/// Buffers that each thread keeps for itself; none where they are few, for others could not get
/// them.
constexpr std::uint32_t cache_size_for(std::uint32_t buffer_count) {
  return buffer_count >= 2048 ? 256 : 0;
}
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

}  // namespace

Result<std::unique_ptr<DpdkMemory>, std::string> DpdkMemory::create(const Options& options) {
  SLUICE_CHECK(options.buffer_size > kHeadroom);
  const std::size_t bytes = std::size_t{options.buffer_count} * options.buffer_size;
  // Room behind the last buffer: DPDK counts each one from its pinned begin.
  auto memory =
      SharedMemory::create(options.name + "-packets", bytes + options.buffer_size, options.pages);
  if (!memory) return unexpected("packet memory: " + memory.error());
  std::unique_ptr<DpdkMemory> made{new DpdkMemory};
  made->memory_ = std::move(*memory);
  made->packets_ = PacketMemory{made->memory_.bytes().first(bytes), options.buffer_size};
  made->first_ = made->memory_.bytes().data() + kPinOffset;
  made->buffer_size_ = options.buffer_size;
  if (std::has_single_bit(options.buffer_size)) {
    made->shift_ = static_cast<std::uint32_t>(std::countr_zero(options.buffer_size));
  }
  const std::span<std::byte> all = made->memory_.bytes();
  const std::size_t page_bytes = options.pages == SharedMemory::Pages::kHuge
                                     ? kHugePageBytes
                                     : static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  if (rte_extmem_register(all.data(), all.size(), nullptr, 0, page_bytes) != 0) {
    return unexpected("packet memory cannot be registered with DPDK: " + dpdk_error());
  }
  made->registered_ = true;
  const auto room = static_cast<std::uint16_t>(options.buffer_size - kPinOffset);
  const rte_pktmbuf_extmem extmem{.buf_ptr = all.data() + kPinOffset,
                                  .buf_iova = RTE_BAD_IOVA,
                                  .buf_len = bytes,
                                  .elt_size = static_cast<std::uint16_t>(options.buffer_size)};
  made->pool_ = rte_pktmbuf_pool_create_extbuf(options.name.c_str(), options.buffer_count,
                                               cache_size_for(options.buffer_count), 0, room,
                                               SOCKET_ID_ANY, &extmem, 1);
  if (made->pool_ == nullptr) return unexpected("pool of mbufs: " + dpdk_error());
  made->mbufs_.resize(options.buffer_count);
  rte_mempool_obj_iter(
      made->pool_,
      [](rte_mempool*, void* self, void* object, unsigned) {
        auto& memory_of = *static_cast<DpdkMemory*>(self);
        auto* mbuf = static_cast<rte_mbuf*>(object);
        memory_of.mbufs_[memory_of.buffer_of(*mbuf)] = mbuf;
      },
      made.get());
  return made;
}

DpdkMemory::~DpdkMemory() {
  if (pool_ != nullptr) rte_mempool_free(pool_);
  if (registered_) rte_extmem_unregister(memory_.bytes().data(), memory_.bytes().size());
}

std::uint32_t DpdkMemory::available() const {
  return rte_mempool_avail_count(pool_);
}

}  // namespace sluice::dpdk
