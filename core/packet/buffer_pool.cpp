#include "core/packet/buffer_pool.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace sluice {

BufferPool::BufferPool(std::uint32_t buffer_count) : buffer_count_(buffer_count) {
  free_.reserve(buffer_count);
  for (std::uint32_t i = buffer_count; i > 0; --i) free_.push_back(i - 1);
}

std::uint32_t BufferPool::allocate(std::span<std::uint32_t> buffers) noexcept {
  const std::size_t count = std::min(buffers.size(), free_.size());
  std::copy_n(free_.rbegin(), count, buffers.begin());
  free_.resize(free_.size() - count);
  return static_cast<std::uint32_t>(count);
}

void BufferPool::release(std::span<const std::uint32_t> buffers) noexcept {
  SLUICE_CHECK(free_.size() + buffers.size() <= buffer_count_);
  for (const std::uint32_t buffer : buffers) {
    SLUICE_CHECK(buffer < buffer_count_);
    free_.push_back(buffer);
  }
}

}  // namespace sluice
