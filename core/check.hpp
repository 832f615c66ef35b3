#pragma once

#include <string_view>

namespace sluice {

/// Prints `expression` with its place to stderr and aborts. The one output of core: it is the last.
[[noreturn]] void check_failed(std::string_view expression, std::string_view file,
                               int line) noexcept;

}  // namespace sluice

/// Holds in every build. It is for our own mistakes, never for what a peer or a user sends.
#define SLUICE_CHECK(expression)                               \
  do {                                                         \
    if (!(expression)) [[unlikely]]                            \
      ::sluice::check_failed(#expression, __FILE__, __LINE__); \
  } while (false)
