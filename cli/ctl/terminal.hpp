#pragma once

#include <termios.h>

#include <cstddef>
#include <string>

#include "backends/process/fd.hpp"

namespace sluice::cli {

/// The whole screen of a terminal, for a program that redraws it until a key or a signal ends it.
/// The destructor leaves the terminal as it was.
class Terminal {
 public:
  /// Whether there is one: at both ends, or keys would not reach us.
  [[nodiscard]] static bool available();

  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  struct Size {
    std::size_t columns = 80, rows = 24;
  };
  [[nodiscard]] Size size() const;
  /// Shows the lines of `text` that fit, and in the last row how many do not, and `hint`.
  void draw(const std::string& text, const std::string& hint) const;

  enum class Event { kTime, kResized, kEnd };
  /// Waits for q, a signal, a new size, or the end of the time.
  [[nodiscard]] Event wait(int milliseconds);

 private:
  termios before_{};
  Fd signals_;
};

}  // namespace sluice::cli
