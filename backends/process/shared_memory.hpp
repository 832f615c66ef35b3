#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "backends/process/fd.hpp"
#include "core/result.hpp"

namespace sluice {

/// Memory that other processes may map too: a memfd, mapped here until destruction.
///
/// It is sealed against shrinking, growing and further seals, for a peer that cuts the file would
/// kill every reader of it by SIGBUS. Moving it keeps the address.
class SharedMemory {
 public:
  enum class Pages { kOrdinary, kHuge };  ///< Huge: of 2 MB.

  SharedMemory() = default;
  ~SharedMemory();
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// New memory of at least `size_bytes` zeroes, all of it present, so that the data path takes no
  /// page fault. `name` is for /proc only. The error says in words what the system refused.
  [[nodiscard]] static Result<SharedMemory, std::string> create(const std::string& name,
                                                                std::size_t size_bytes,
                                                                Pages pages);
  /// Maps what another process made. It must be sealed and have at least `size_bytes`: else it is
  /// refused, since its owner could take it away under our feet.
  [[nodiscard]] static Result<SharedMemory, std::string> map(Fd fd, std::size_t size_bytes);

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  /// For handing on (SCM_RIGHTS); stays ours.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Pages pages() const { return pages_; }

 private:
  Fd fd_;
  std::span<std::byte> bytes_;
  Pages pages_ = Pages::kOrdinary;
};

}  // namespace sluice
