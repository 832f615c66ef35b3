#include "backends/process/channel_memory.hpp"

#include <bit>
#include <new>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t kPlaceBytes = 4096;

std::size_t round_up(std::size_t size) {
  return (size + kPlaceBytes - 1) / kPlaceBytes * kPlaceBytes;
}

struct Places {
  std::size_t receive, give_back, messages, end;
};

Places places_of(const ChannelMemory::Capacities& capacities) {
  Places places{};
  places.receive = round_up(sizeof(ControlPage));
  places.give_back = places.receive + round_up(SpscRing<Packet>::bytes_needed(capacities.receive));
  places.messages =
      places.give_back + round_up(SpscRing<Packet>::bytes_needed(capacities.give_back));
  places.end = places.messages + round_up(SpscRing<Message>::bytes_needed(capacities.messages));
  return places;
}

bool possible(std::uint32_t capacity) {
  return std::has_single_bit(capacity) && capacity <= RingHeader::kCapacityMax;
}

}  // namespace

ChannelMemory::Capacities ChannelMemory::capacities_for(std::uint32_t receive) {
  return {.receive = receive, .give_back = std::bit_ceil(outstanding_max(receive))};
}

Result<ChannelMemory, std::string> ChannelMemory::create(const std::string& name,
                                                         const Capacities& capacities) {
  const Places places = places_of(capacities);
  auto memory = SharedMemory::create(name, places.end, SharedMemory::Pages::kOrdinary);
  if (!memory) return unexpected(memory.error());
  ChannelMemory channel;
  channel.memory_ = std::move(*memory);
  channel.capacities_ = capacities;
  const std::span<std::byte> bytes = channel.memory_.bytes();
  channel.page_ = new (bytes.data()) ControlPage;
  channel.receive_ = SpscRing<Packet>::create(bytes.subspan(places.receive), capacities.receive);
  channel.give_back_ =
      SpscRing<Packet>::create(bytes.subspan(places.give_back), capacities.give_back);
  channel.messages_ =
      SpscRing<Message>::create(bytes.subspan(places.messages), capacities.messages);
  return channel;
}

Result<ChannelMemory, std::string> ChannelMemory::attach(Fd fd, const Capacities& capacities) {
  if (!possible(capacities.receive) || !possible(capacities.give_back) ||
      !possible(capacities.messages)) {
    return unexpected(std::string("ring capacities are no powers of two"));
  }
  const Places places = places_of(capacities);
  auto memory = SharedMemory::map(std::move(fd), places.end);
  if (!memory) return unexpected(memory.error());
  ChannelMemory channel;
  channel.memory_ = std::move(*memory);
  channel.capacities_ = capacities;
  const std::span<std::byte> bytes = channel.memory_.bytes();
  channel.page_ = std::launder(reinterpret_cast<ControlPage*>(bytes.data()));
  if (channel.page_->magic != ControlPage::kMagic ||
      channel.page_->version != ControlPage::kVersion) {
    return unexpected(std::string("control page of another version"));
  }
  auto receive = SpscRing<Packet>::attach(bytes.subspan(places.receive));
  auto give_back = SpscRing<Packet>::attach(bytes.subspan(places.give_back));
  auto messages = SpscRing<Message>::attach(bytes.subspan(places.messages));
  if (!receive) return unexpected(receive.error());
  if (!give_back) return unexpected(give_back.error());
  if (!messages) return unexpected(messages.error());
  // The rings' own word for it lies where the other side can change it.
  if (receive->capacity() != capacities.receive || give_back->capacity() != capacities.give_back ||
      messages->capacity() != capacities.messages) {
    return unexpected(std::string("rings have other capacities than was said"));
  }
  channel.receive_ = *receive;
  channel.give_back_ = *give_back;
  channel.messages_ = *messages;
  return channel;
}

}  // namespace sluice
