#pragma once

#include <cstddef>
#include <span>

namespace sluice {

/// Memory for a large table of one process, in huge pages where the system gives them to who asks
/// (madvise(2), transparent huge pages): nobody has to reserve any. A flow table is looked up all
/// over the place, and with pages of 4 kB each look misses the TLB.
class TableMemory {
 public:
  /// Zeroes; the program ends when the system has none (std::bad_alloc).
  explicit TableMemory(std::size_t size_bytes);
  ~TableMemory();
  TableMemory(TableMemory&& other) noexcept;
  TableMemory& operator=(TableMemory&& other) noexcept;
  TableMemory(const TableMemory&) = delete;
  TableMemory& operator=(const TableMemory&) = delete;

  /// Aligned to a huge page.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> mapped_;
  std::span<std::byte> bytes_;
};

}  // namespace sluice
