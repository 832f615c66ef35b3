#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "core/packet/packet.hpp"

namespace sluice {

/// A control message from the host to an NF instance: one cache line in the control page's ring.
struct Message {
  enum class Kind : std::uint32_t {
    kNone,
    kStop,       ///< End now; what is held is dropped.
    kDrain,      ///< No new flows will come; release what is held soon.
    kFlowEnded,  ///< `flow` ended: forget its state.
    kLend,       ///< words[0] buffers follow in words[1..]: for Context::make.
    kConfig,     ///< Function-specific words.
  };
  static constexpr std::uint32_t kWordCount = 14;

  Kind kind = Kind::kNone;
  FlowId flow = kNoFlow;
  std::array<std::uint32_t, kWordCount> words{};
};
static_assert(sizeof(Message) == 64 && std::is_trivially_copyable_v<Message>);

}  // namespace sluice
