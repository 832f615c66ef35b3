#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/process/shared_memory.hpp"
#include "core/function/control_page.hpp"
#include "core/function/function_runtime.hpp"
#include "core/host/routing.hpp"
#include "core/ring/spsc_ring.hpp"

namespace sluice {

/// The rings and the control page of one instance, in one piece of shared memory:
/// control page, receive ring, give-back ring, message ring, each on a page of its own.
///
/// Both sides compute the places from the capacities and never read them from the memory itself,
/// which the other side may change at any time.
class ChannelMemory {
 public:
  struct Capacities {
    std::uint32_t receive = 0;    ///< Powers of two.
    std::uint32_t give_back = 0;  ///< At least outstanding_max(receive).
    std::uint32_t messages = 64;
    bool operator==(const Capacities&) const = default;
  };
  /// Those for an instance of a service whose file says `ring: receive`.
  [[nodiscard]] static Capacities capacities_for(std::uint32_t receive);

  /// The host's side: new, empty rings.
  [[nodiscard]] static Result<ChannelMemory, std::string> create(const std::string& name,
                                                                 const Capacities& capacities);
  /// The instance's side.
  [[nodiscard]] static Result<ChannelMemory, std::string> attach(Fd fd,
                                                                 const Capacities& capacities);

  [[nodiscard]] const Capacities& capacities() const { return capacities_; }
  [[nodiscard]] int fd() const { return memory_.fd(); }
  [[nodiscard]] ControlPage& page() const { return *page_; }
  /// The host's ends, by value: to be kept by the one worker that owns the instance.
  [[nodiscard]] InstanceChannel channel() const {
    return {receive_, give_back_, messages_, nullptr};
  }
  /// The instance's ends.
  [[nodiscard]] RingRuntime::Wiring wiring() const {
    return {receive_, give_back_, messages_, page_};
  }
  /// How many descriptors wait for the instance; from any thread.
  [[nodiscard]] std::uint32_t waiting() const { return receive_.size(); }

 private:
  SharedMemory memory_;
  Capacities capacities_;
  ControlPage* page_ = nullptr;
  SpscRing<Packet> receive_;
  SpscRing<Packet> give_back_;
  SpscRing<Message> messages_;
};

}  // namespace sluice
