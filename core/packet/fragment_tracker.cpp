#include "core/packet/fragment_tracker.hpp"

#include <bit>

#include "core/check.hpp"

namespace sluice {

FragmentTracker::FragmentTracker(const Options& options) : options_(options) {
  SLUICE_CHECK(options.datagram_count_max >= 1 && options.datagram_count_max <= (1u << 24));
  SLUICE_CHECK(options.lifetime > Duration::zero());
  datagrams_.resize(options.datagram_count_max);
  heads_.resize(std::bit_ceil(options.datagram_count_max), kNone);
}

FlowKey FragmentTracker::name_of(const FlowKey& key, std::uint32_t fragment_id) noexcept {
  FlowKey name = key;
  name.source_port = 0;
  name.destination_port = 0;
  if (key.ip_version == 6) name.protocol = 0;
  name.reserved = fragment_id;
  return name;
}

std::uint32_t FragmentTracker::chain_of(const FlowKey& name) const noexcept {
  return static_cast<std::uint32_t>(hash(name, options_.hash_key) & (heads_.size() - 1));
}

std::uint32_t FragmentTracker::look_up(const FlowKey& name) const noexcept {
  std::uint32_t index = heads_[chain_of(name)];
  while (index != kNone && datagrams_[index].name != name) index = datagrams_[index].next;
  return index;
}

void FragmentTracker::unlink(std::uint32_t index) noexcept {
  std::uint32_t* link = &heads_[chain_of(datagrams_[index].name)];
  while (*link != index) link = &datagrams_[*link].next;
  *link = datagrams_[index].next;
  datagrams_[index].used = false;
}

void FragmentTracker::remember(const FlowKey& key, std::uint32_t fragment_id,
                               Instant now) noexcept {
  SLUICE_CHECK(now >= last_now_);
  last_now_ = now;
  const FlowKey name = name_of(key, fragment_id);
  // Replaced by a new entry, not in place: the ring must stay in order of arrival.
  if (const std::uint32_t known = look_up(name); known != kNone) unlink(known);
  Datagram& datagram = datagrams_[oldest_];
  if (datagram.used) {
    if (datagram.expires > now) ++evicted_count_;
    unlink(oldest_);
  }
  std::uint32_t& head = heads_[chain_of(name)];
  datagram = {
      name, now + options_.lifetime, head, key.source_port, key.destination_port, key.protocol,
      true};
  head = oldest_;
  if (++oldest_ == datagrams_.size()) oldest_ = 0;
}

bool FragmentTracker::find(FlowKey& key, std::uint32_t fragment_id, Instant now) const noexcept {
  const std::uint32_t index = look_up(name_of(key, fragment_id));
  if (index == kNone || datagrams_[index].expires <= now) return false;
  key.source_port = datagrams_[index].source_port;
  key.destination_port = datagrams_[index].destination_port;
  key.protocol = datagrams_[index].protocol;
  return true;
}

}  // namespace sluice
