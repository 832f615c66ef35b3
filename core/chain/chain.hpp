#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/function/network_function.hpp"
#include "core/packet/packet.hpp"
#include "core/units.hpp"

namespace sluice {

inline constexpr std::uint32_t kStepCountMax = 254;
inline constexpr std::uint32_t kLabelCountMax = 32;

/// Where a packet goes after a step.
struct Hop {
  enum class Kind : std::uint8_t { kStep, kOut, kDrop };
  Kind kind = Kind::kOut;
  std::uint8_t step = 0;  ///< With kStep.
  bool operator==(const Hop&) const = default;
};

/// "When this label is set, go there instead."
struct Branch {
  std::uint32_t label_bits = 0;  ///< One bit of Packet::tag.
  Hop hop;
  bool operator==(const Branch&) const = default;
};

/// One step of a chain: the service that handles the packet, and what follows.
struct Step {
  ServiceId service = kNoService;
  std::vector<Branch> branches;  ///< First match in file order wins.
  Hop next;                      ///< When no branch matches.
  bool copy =
      false;  ///< The service gets a copy, which ends there; the original goes on to `next`.
  bool operator==(const Step&) const = default;
};

/// One version of a chain, immutable once published. Old versions live while flows use them.
struct ChainVersion {
  ChainId chain = kNoChain;  ///< Its number, the same for all versions.
  std::uint16_t index =
      0;  ///< Of this version, on this host: Packet::chain. Never reused while used.
  std::uint32_t version = 1;  ///< Counts up with each change of the chain.
  std::string name;
  PortId from = kNoPort;
  PortId to = kNoPort;
  HostId to_host = kNoHost;    ///< Whose port `to` is; kNoHost: this host's.
  std::uint32_t path = 0;      ///< The cluster's number of the chain, the same on all hosts.
  std::vector<Step> steps;     ///< Numbered as in the file, branches included.
  ChainId reverse = kNoChain;  ///< The chain declared `reverse_of` this one, or that this reverses.
  bool is_reverse = false;     ///< Declared with `reverse_of`.
  /// The version (by index) of `reverse` that came at the same time; 0xffff: none did. A session
  /// has both directions by versions that belong together.
  std::uint16_t partner = 0xffff;
};

/// How an instance is chosen for a new flow.
enum class InstanceChoice : std::uint8_t { kLeastLoaded, kMaglev };
enum class RunMode : std::uint8_t { kInline, kProcess, kContainer };

/// A function with its configuration: what a chain's steps name.
struct Service {
  ServiceId id = kNoService;
  std::string name;
  std::string function;
  Affinity affinity = Affinity::kFlow;
  InstanceChoice choice = InstanceChoice::kLeastLoaded;
  /// kMaglev: shares of new flows, of the service's first, second, ... place for an instance;
  /// further places have the last. Empty: all alike.
  std::vector<std::uint32_t> weights;
  RunMode run = RunMode::kProcess;
  std::uint32_t ring_capacity = 512;      ///< Descriptors in an instance's receive ring.
  std::vector<std::string> labels;        ///< In the order of the service's own label numbers.
  std::vector<std::uint32_t> label_bits;  ///< The bit of Packet::tag of each of `labels`.
  std::uint32_t sticky_bits = 0;          ///< Those that hold for the rest of a flow.
  bool keeps_flow_state = false;
  bool generates = false;

  [[nodiscard]] std::uint32_t weight_at(std::uint32_t place) const {
    if (weights.empty()) return 1;
    return weights[std::min<std::size_t>(place, weights.size() - 1)];
  }
};

}  // namespace sluice
