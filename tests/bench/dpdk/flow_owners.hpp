#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/result.hpp"

namespace sluice::bench {

/// Which instance of a host has a flow, and since when, as the instances themselves see it: memory
/// that all of them map and write (owner_function.cpp). Only a packet whose flow changed hands
/// writes, so that who measures with it disturbs nothing. It is no file of a disk: a write into one
/// may have to wait for the disk, and nobody who waits there can be killed.
class FlowOwners {
 public:
  static constexpr std::uint32_t kFlowCountMax = 1u << 14;

  struct Owner {
    std::atomic<std::int64_t> since_ns{0};   ///< CLOCK_MONOTONIC at its first packet.
    std::atomic<std::uint32_t> instance{0};  ///< Its number; 0: nobody has seen the flow.
    std::atomic<std::uint32_t> unused{0};
  };

  /// New ones. The error says in words what went wrong.
  [[nodiscard]] static Result<FlowOwners, std::string> create();
  /// Those of another process, by their path().
  [[nodiscard]] static Result<FlowOwners, std::string> open(const std::string& path);
  ~FlowOwners();
  FlowOwners(FlowOwners&& other) noexcept;
  FlowOwners& operator=(FlowOwners&&) = delete;

  /// Where other processes of this user find them while this one has them.
  [[nodiscard]] std::string path() const;
  /// By the slot of the flow.
  [[nodiscard]] std::span<Owner> all() const { return owners_; }

 private:
  FlowOwners(int file, std::span<Owner> owners) : file_(file), owners_(owners) {}
  static Result<FlowOwners, std::string> map(int file, const std::string& name);

  int file_;
  std::span<Owner> owners_;
};

}  // namespace sluice::bench
