#pragma once

#include <cstdint>
#include <string>

#include "core/result.hpp"

namespace sluice::bench {

/// What a run leaves in the system while it lasts: a temporary folder, and huge pages set aside. A
/// small process of its own watches over both and undoes them when this one is gone, however it
/// went.
class Scratch {
 public:
  [[nodiscard]] static Result<Scratch, std::string> create();
  ~Scratch();
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// Sets aside so many huge pages of 2 MB, beside those that others use. Twice is allowed. The
  /// error says in words why there are none.
  [[nodiscard]] Result<void, std::string> reserve_huge_pages(std::uint64_t count);

 private:
  Scratch(std::string folder, int watcher, int pipe)
      : folder_(std::move(folder)), watcher_(watcher), pipe_(pipe) {}

  std::string folder_;
  int watcher_;  ///< Its process id; -1: none.
  int pipe_;     ///< It ends when this closes.
};

}  // namespace sluice::bench
