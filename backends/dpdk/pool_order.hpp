#pragma once

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace sluice::dpdk {

/// Tells ThreadSanitizer what it cannot see: a buffer that one thread gives to DPDK (its pool, or a
/// port that sends it) and that another one gets from there later goes in order, for DPDK's pool is
/// a ring; but DPDK is not compiled for the sanitizer. By the buffer, so that nothing else is taken
/// as ordered. Nothing at all in other builds.
inline void before_giving_to_dpdk([[maybe_unused]] void* mbuf) noexcept {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(mbuf);
#endif
}
inline void after_getting_from_dpdk([[maybe_unused]] void* mbuf) noexcept {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(mbuf);
#endif
}

}  // namespace sluice::dpdk
