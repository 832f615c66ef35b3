#pragma once

#include <cstdint>
#include <memory>

#include "core/function/network_function.hpp"
#include "core/functions/pattern_matcher.hpp"

namespace sluice {

/// `ids`: searches the L4 payload of each packet for many patterns at once.
///
/// Settings: `patterns` (a file, see parse_pattern_file) and/or `pattern` (a list, see
/// parse_pattern); `nocase` (default false); `labels` (names that patterns may choose labels by,
/// when the host hands them over; else by number, the first called `suspicious`); `action`: `label`
/// (default: a packet with a match gets the labels of the patterns found and goes to the next step)
/// or `drop` (it is dropped as DropReason::kRule). A pattern is found within one packet only: one
/// that is split over two segments passes. Packets without payload, and frames that are malformed
/// or not IP, pass.
class Ids final : public NetworkFunction {
 public:
  enum class Action : std::uint8_t { kLabel, kDrop };
  struct Options {
    std::shared_ptr<const PatternMatcher> matcher;  ///< Shared by the instances of a program.
    Action action = Action::kLabel;
  };
  struct Totals {
    std::uint64_t scanned_byte_count = 0;
    std::uint64_t match_count = 0;  ///< Packets with a match.
  };
  Ids(const Options& options, const InstanceConfig&) : options_(options) {}

  void process(PacketBatch& batch, Context& context) noexcept override;

  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }
  /// The part of `frame` that is searched; empty if there is none.
  [[nodiscard]] static std::span<const std::byte> payload_of(
      std::span<const std::byte> frame) noexcept;

 private:
  Options options_;
  Totals totals_;
};

}  // namespace sluice
