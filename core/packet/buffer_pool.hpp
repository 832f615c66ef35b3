#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice {

/// The free buffers of a PacketMemory, for backends that have no pool of their own.
///
/// Last in, first out: the buffer freed last is the one whose bytes are still in the cache.
/// Allocates nothing after construction. Not thread-safe. A release of more buffers than exist is
/// our mistake and checked; who owns which buffer is BufferLedger's business.
class BufferPool {
 public:
  /// All buffers 0 .. buffer_count - 1 are free; 0 comes out first.
  explicit BufferPool(std::uint32_t buffer_count);

  /// Writes up to buffers.size() free indices to the front of `buffers`.
  /// @return How many: fewer when the pool ran empty.
  [[nodiscard]] std::uint32_t allocate(std::span<std::uint32_t> buffers) noexcept;
  /// Takes back buffers that allocate() gave.
  void release(std::span<const std::uint32_t> buffers) noexcept;

  [[nodiscard]] std::uint32_t available() const noexcept {
    return static_cast<std::uint32_t>(free_.size());
  }
  [[nodiscard]] std::uint32_t buffer_count() const noexcept { return buffer_count_; }

 private:
  std::vector<std::uint32_t> free_;  ///< A stack; its capacity is buffer_count_ from the start.
  std::uint32_t buffer_count_;
};

}  // namespace sluice
