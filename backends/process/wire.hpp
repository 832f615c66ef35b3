#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/function/control_page.hpp"
#include "core/function/message.hpp"
#include "core/packet/packet.hpp"
#include "core/ring/spsc_ring.hpp"

/// What a host and the process of an NF instance say to each other over a Unix socket of type
/// SOCK_SEQPACKET, one struct a message, before and beside the shared memory:
///
///     process -> host   Hello     who it is, and in which version it speaks
///     host -> process   Welcome   accepted: sizes, and three file descriptors (SCM_RIGHTS): packet
///                                 memory, channel memory, description; or refused, in words
///     process -> host   Ready     the function is set up; or it cannot be, in words
///
/// After that the socket carries nothing; its end tells either side that the other is gone.
namespace sluice::wire {

inline constexpr std::uint32_t kMagic = 0x534c4e46;  // "SLNF"
/// Counts up with each change of these structs or of anything that lies in shared memory.
inline constexpr std::uint32_t kVersion = 1;
/// A second word against mixing builds: the sizes of all that both sides map.
inline constexpr std::uint64_t kLayout =
    (std::uint64_t{sizeof(Packet)} << 48) | (std::uint64_t{sizeof(Message)} << 32) |
    (std::uint64_t{sizeof(RingHeader)} << 16) | sizeof(ControlPage);
/// Under this descriptor a process that the host started finds its socket.
inline constexpr int kInheritedSocket = 3;

inline constexpr std::size_t kNameBytes = 96;
using Name = std::array<char, kNameBytes>;
using Text = std::array<char, 256>;

struct Hello {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint64_t layout = kLayout;
  Name service{};  ///< What it wants to serve; empty when the host started it.
};

struct Welcome {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t accepted = 0;  ///< 0: refused, and `text` says why.
  std::uint32_t buffer_size = 0;
  std::uint32_t buffer_count = 0;
  std::uint32_t receive_capacity = 0;
  std::uint32_t give_back_capacity = 0;
  std::uint32_t message_capacity = 0;
  std::uint64_t description_bytes = 0;
  std::uint64_t sleep_max_ns = 0;  ///< Idle back-off; 0: poll without sleeping.
  std::int32_t core = -1;          ///< Real core to run on; -1: any.
  std::uint32_t yields = 0;        ///< Shares its core with a worker: yield when idle.
  Name name{};                     ///< Of the instance: "ids.1".
  Text text{};
};

struct Ready {
  std::uint32_t magic = kMagic;
  std::uint32_t ok = 0;  ///< 0: `text` says why not.
  Text text{};
};

static_assert(std::is_trivially_copyable_v<Hello> && std::is_trivially_copyable_v<Welcome> &&
              std::is_trivially_copyable_v<Ready>);

/// Copies `text` into `field`, cut to fit, always ended by a zero.
template <std::size_t size>
void put(std::array<char, size>& field, std::string_view text) {
  field.fill('\0');
  text.copy(field.data(), size - 1);
}
/// What is in `field` up to its first zero, or all of it: a peer may have left it out.
template <std::size_t size>
[[nodiscard]] std::string get(const std::array<char, size>& field) {
  const std::string_view all{field.data(), size};
  return std::string(all.substr(0, all.find('\0')));
}

/// Why `hello` cannot be accepted whatever it wants, or an empty text.
[[nodiscard]] std::string problem_of(const Hello& hello);

}  // namespace sluice::wire
