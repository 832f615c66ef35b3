#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "backends/process/channel_memory.hpp"
#include "backends/process/description.hpp"
#include "backends/process/fd.hpp"
#include "backends/process/spawn.hpp"
#include "backends/process/wire.hpp"
#include "core/chain/chain.hpp"
#include "core/function/function_runtime.hpp"
#include "core/units.hpp"

namespace sluice::dpdk {

/// The host's side of one instance: its process and its shared memory, or, for an inline one, the
/// function itself. Control thread only, but for the channel, which is its worker's.
struct InstanceProcess {
  enum class State : std::uint8_t {
    kInline,
    kJoining,  ///< Started; has not said Ready.
    kServing,
    kEnded,  ///< The process is gone; what it held waits to be reclaimed.
  };

  InstanceId id = kNoInstance;
  ServiceId service = kNoService;
  std::uint32_t number = 0;
  std::string name;  ///< "ids.1"
  std::uint16_t worker = 0;
  State state = State::kJoining;

  std::unique_ptr<FunctionRuntime> inline_runtime;
  ChannelMemory memory;
  InstanceChannel channel;
  SharedMemory description;
  std::size_t description_bytes = 0;
  Fd socket;
  SpawnedProcess process;
  bool is_child = false;  ///< Ours to reap; else it came by itself.
  bool welcomed = false;
  /// In a container: crun's own process, which is `process`, too, until the function's is known.
  SpawnedProcess runtime;
  std::string container;  ///< Its name with crun; empty: none.

  Instant spawned{};
  Duration start_time{};           ///< From spawn to Ready; 0 before.
  std::optional<Instant> kill_at;  ///< Asked to end: until then it may do so by itself.
};

}  // namespace sluice::dpdk
