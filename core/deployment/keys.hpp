#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::deployment {

/// The kinds of maps in a deployment file, and behind them those of a site file. Each has one list
/// of keys, from which the parser's messages, deployment_keys() and site_keys() and, by a test, the
/// JSON Schemas come.
enum class MapKind : std::uint8_t {
  kTop,
  kHost,
  kPort,
  kPass,
  kService,
  kInstances,
  kServiceScaling,
  kScaleUp,
  kScaleDown,
  kDrain,
  kChain,
  kMatch,
  kStep,
  kCopyStep,
  kScaling,
  kTraffic,
  kFlash,
  kFault,
  kKill,
  kHang,
  kSlow,
  kPause,
  kLinkFault,
  kChange,
  kSim,
  kRun,
  kSiteTop,
  kSiteHost,
  kSitePort,
  kSiteCores,
};
inline constexpr std::size_t kMapKindCount = 30;

[[nodiscard]] std::span<const std::string_view> keys_of(MapKind kind);

}  // namespace sluice::deployment
