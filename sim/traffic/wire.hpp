#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace sluice::sim {

/// What an interface has counted, by /proc/net/dev of our network namespace.
struct InterfaceCounters {
  std::uint64_t rx_bytes = 0, rx_packets = 0, rx_dropped = 0;
  std::uint64_t tx_bytes = 0, tx_packets = 0, tx_dropped = 0;

  [[nodiscard]] InterfaceCounters operator-(const InterfaceCounters& before) const noexcept;
};

/// Finds an interface in the text of /proc/net/dev; nothing when it is not there.
[[nodiscard]] std::optional<InterfaceCounters> find_interface(std::string_view text,
                                                              std::string_view interface);
/// The counters of an interface now.
[[nodiscard]] Result<InterfaceCounters> read_interface(const std::string& interface);

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

inline constexpr std::size_t kWireBatchMax = 64;

/// Puts frames on an interface as they are, through an AF_PACKET socket that bypasses its queue:
/// what the kernel takes is on the wire when send() returns.
class WireSender {
 public:
  /// Fails without CAP_NET_RAW, or when there is no such interface.
  [[nodiscard]] static Result<WireSender> open(const std::string& interface);

  /// Sends frames, at most kWireBatchMax (checked), in their order, until one is refused.
  /// @return How many were sent.
  [[nodiscard]] std::size_t send(std::span<const std::span<const std::byte>> frames) noexcept;

 private:
  explicit WireSender(Descriptor socket) noexcept : socket_(std::move(socket)) {}
  Descriptor socket_;
};

/// Takes the frames that arrive at an interface, not those that leave by it.
class WireReceiver {
 public:
  struct Frame {
    std::span<const std::byte> bytes;  ///< Whole, with its VLAN tag; valid until the next call.
    Instant when{};                    ///< CLOCK_MONOTONIC, when the kernel saw it.
  };
  struct Options {
    std::string interface;
    std::uint16_t frame_size_max = 1522;
    std::uint32_t buffer_bytes = 64u << 20;  ///< Of the kernel, for what we have not yet taken.
  };
  [[nodiscard]] static Result<WireReceiver> open(const Options& options);

  /// Up to kWireBatchMax of the frames that wait; none: nothing waits.
  [[nodiscard]] std::span<const Frame> receive() noexcept;
  /// How many frames found the kernel's buffer full since the last call.
  [[nodiscard]] std::uint64_t take_missed() noexcept;

 private:
  struct Slots;
  WireReceiver(Descriptor socket, const Options& options);

  Descriptor socket_;
  std::unique_ptr<Slots> slots_;

 public:
  WireReceiver(WireReceiver&&) noexcept;
  ~WireReceiver();
};

}  // namespace sluice::sim
