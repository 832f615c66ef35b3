#include "core/ring/spsc_ring.hpp"

#include <bit>
#include <new>

#include "core/check.hpp"

namespace sluice {
namespace {

/// "sluicer1": a ring of this layout.
constexpr std::uint64_t kMagic = 0x7369'756c'6963'7231u;

bool aligned(const std::byte* bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes) % RingHeader::kAlignment == 0;
}

bool valid_capacity(std::uint32_t capacity) {
  return std::has_single_bit(capacity) && capacity <= RingHeader::kCapacityMax;
}

}  // namespace

std::size_t RingView::bytes_needed(std::uint32_t capacity, std::size_t element_size) {
  SLUICE_CHECK(valid_capacity(capacity));
  const std::size_t size = sizeof(RingHeader) + capacity * element_size;
  return (size + RingHeader::kAlignment - 1) / RingHeader::kAlignment * RingHeader::kAlignment;
}

RingView RingView::create(std::span<std::byte> bytes, std::uint32_t capacity,
                          std::size_t element_size, std::uint32_t first_index) {
  SLUICE_CHECK(aligned(bytes.data()));
  SLUICE_CHECK(bytes.size() >= bytes_needed(capacity, element_size));
  auto* header = new (bytes.data()) RingHeader{};
  header->element_size = static_cast<std::uint32_t>(element_size);
  header->capacity = capacity;
  header->tail.store(first_index, std::memory_order_relaxed);
  header->head.store(first_index, std::memory_order_relaxed);
  header->magic = kMagic;
  return {.header = header, .capacity = capacity, .head = first_index, .tail = first_index};
}

Result<RingView, std::string> RingView::attach(std::span<std::byte> bytes,
                                               std::size_t element_size) {
  const auto fail = [](std::string text) { return unexpected<std::string>{std::move(text)}; };
  if (!aligned(bytes.data())) return fail("ring memory is not aligned to 64 bytes");
  if (bytes.size() < sizeof(RingHeader)) {
    return fail("ring memory has " + std::to_string(bytes.size()) + " bytes; a ring's header has " +
                std::to_string(sizeof(RingHeader)));
  }
  auto* header = std::launder(reinterpret_cast<RingHeader*>(bytes.data()));
  if (header->magic != kMagic) return fail("ring memory holds no ring: its magic is wrong");
  if (header->element_size != element_size) {
    return fail("ring has elements of " + std::to_string(header->element_size) +
                " bytes; expected " + std::to_string(element_size));
  }
  const std::uint32_t capacity = header->capacity;
  if (!valid_capacity(capacity)) {
    return fail("ring capacity " + std::to_string(capacity) + " is not a power of two up to " +
                std::to_string(RingHeader::kCapacityMax));
  }
  if (bytes.size() < bytes_needed(capacity, element_size)) {
    return fail("ring memory has " + std::to_string(bytes.size()) + " bytes; a ring of capacity " +
                std::to_string(capacity) + " needs " +
                std::to_string(bytes_needed(capacity, element_size)));
  }
  const std::uint32_t head = header->head.load(std::memory_order_acquire);
  const std::uint32_t tail = header->tail.load(std::memory_order_acquire);
  if (tail - head > capacity) {
    return fail("ring indices " + std::to_string(head) + " and " + std::to_string(tail) +
                " are further apart than its capacity " + std::to_string(capacity));
  }
  return RingView{.header = header, .capacity = capacity, .head = head, .tail = tail};
}

}  // namespace sluice
