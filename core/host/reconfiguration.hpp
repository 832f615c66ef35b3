#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/flow/classifier.hpp"
#include "core/host/agent_settings.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

/// How a living host changes to another deployment (`sluice apply`): a pure plan here, a dumb apply
/// in the Agent.
///
/// Services and chains are matched by name with what runs. A service whose instances are made from
/// the same as before keeps them, and its number. One that changed becomes a new service beside the
/// old one, with a number of its own: flows that live finish where they began, new ones take the
/// new way. So nothing that a living flow meets ever changes under it.
namespace sluice {

/// What a host shall do from now on. Numbers of services, chains and label bits are the new file's
/// own; the plan translates them to those of the host.
struct Reconfigure {
  std::string file;  ///< The deployment file, for messages.
  std::string host;  ///< Its name, for messages.
  std::uint32_t core_count = 1;
  std::vector<ServiceSettings> services;  ///< By the file's service numbers.
  std::vector<ChainVersion> chains;       ///< By the file's chain numbers.
  std::vector<Classifier::Rule> rules;
  std::vector<PortSettings> ports;  ///< As many as the host has, on the same workers.
};

/// Who uses a service number.
enum class ServiceUse : std::uint8_t {
  kFree,
  kActive,
  kRetiring,  ///< No new flow meets it; it ends with its last flow.
};

/// What a plan must know of a host.
struct RunningHost {
  std::span<const ServiceSettings> services;   ///< By service number.
  std::vector<ServiceUse> uses;                ///< By service number.
  std::vector<std::uint32_t> core_counts;      ///< By service number: held by its instances.
  std::vector<const ChainVersion*> active;     ///< By chain number: for new flows; null: none.
  std::vector<bool> chain_in_use;              ///< By chain number: some version of it lives.
  std::span<const PortSettings> ports;         ///< By port number.
  std::uint16_t worker_count = 1;              ///< Each holds a core.
  std::uint32_t instance_count_free = 0;       ///< Numbers that no instance has.
  std::uint32_t chain_version_count_free = 0;  ///< Indices that no version has.
  std::uint32_t service_count_max = 256;       ///< Worker::Options has this and the following.
  std::uint32_t chain_count_max = 256;
  std::uint32_t step_count_max = kStepCountMax;
  bool remembers_addresses = true;  ///< For services of affinity source and destination.
};

/// A change that fits, in the host's own numbers.
struct ReconfigurationPlan {
  std::uint32_t core_count = 1;
  std::vector<ServiceSettings> services;  ///< By the file's numbers; `id` is the host's number.
  std::vector<ServiceId> added;           ///< Host's numbers that were free.
  std::vector<ServiceId> awaited;         ///< Not to be used before an instance of each serves.
  std::vector<ServiceId> retired;         ///< Replaced, or no longer in the file.
  std::vector<ChainVersion> chains;       ///< By the file's numbers; index and version not set.
  std::vector<ChainId> removed;           ///< Chains that take no new flows any more.
  std::vector<Classifier::Rule> rules;
  std::vector<PortSettings> ports;
};

/// What to do to get from one to the other. Fails when the host has no room for it, with a message
/// in the form of a bad file; then nothing needs to be undone.
[[nodiscard]] Result<ReconfigurationPlan> plan_reconfiguration(const RunningHost& running,
                                                               const Reconfigure& wanted);

/// The chains of a plan (by their place in it) that need a new version, given which are active now.
/// The two directions of a session change together.
[[nodiscard]] std::vector<std::size_t> chains_to_change(std::span<const ChainVersion* const> active,
                                                        std::span<const ChainVersion> wanted);

}  // namespace sluice
