#include "backends/process/table_memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

TableMemory::TableMemory(std::size_t size_bytes) {
  const std::size_t size = (size_bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* memory =
      ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc{};
  mapped_ = {static_cast<std::byte*>(memory), size + kHugePage};
  const std::size_t skipped =
      (kHugePage - reinterpret_cast<std::uintptr_t>(memory) % kHugePage) % kHugePage;
  bytes_ = mapped_.subspan(skipped, size);
  // A wish: without it the table is slower, and no different.
  ::madvise(bytes_.data(), bytes_.size(), MADV_HUGEPAGE);
}

TableMemory::~TableMemory() {
  if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
}

TableMemory::TableMemory(TableMemory&& other) noexcept
    : mapped_(std::exchange(other.mapped_, {})), bytes_(std::exchange(other.bytes_, {})) {}

TableMemory& TableMemory::operator=(TableMemory&& other) noexcept {
  std::swap(mapped_, other.mapped_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace sluice
