#include "sim/traffic/port_sender.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.hpp"

namespace sluice::sim {

PortSender::PortSender(std::vector<Source> sources, LinkDisturber disturber, Options options)
    : disturber_(std::move(disturber)), options_(std::move(options)) {
  SLUICE_CHECK(options_.batch_max > 0 && options_.wire);
  for (Source& source : sources) {
    Playing playing{std::move(source), std::vector<std::byte>(options_.frame_size_max), {}, {}};
    pull(playing);
    sources_.push_back(std::move(playing));
  }
  slots_.resize(options_.batch_max * options_.frame_size_max);
  staged_.reserve(options_.batch_max);
}

void PortSender::pull(Playing& playing) {
  playing.next = playing.source.generator->next(playing.room);
}

PortSender::Playing* PortSender::earliest() noexcept {
  Playing* best = nullptr;
  for (Playing& each : sources_) {
    if (each.next && (best == nullptr || each.next->at < best->next->at)) best = &each;
  }
  return best;
}

std::optional<Instant> PortSender::next_due() const noexcept {
  std::optional<Instant> due;
  for (const Playing& each : sources_) {
    if (each.next && (!due || each.next->at < *due)) due = each.next->at;
  }
  if (!delayed_.empty() && (!due || delayed_.begin()->first < *due)) due = delayed_.begin()->first;
  return due;
}

void PortSender::stage(std::size_t source, std::span<const std::byte> bytes, Instant due,
                       bool counted) {
  std::memcpy(&slots_[staged_.size() * options_.frame_size_max], bytes.data(), bytes.size());
  staged_.push_back({source, due, static_cast<std::uint16_t>(bytes.size()), counted});
}

void PortSender::count(Playing& playing, std::uint16_t length, Duration late) {
  Counters& counters = playing.counters;
  ++counters.packets;
  counters.bytes += length;
  counters.late_packets += late > kLate ? 1 : 0;
  counters.late_max = std::max(counters.late_max, late);
}

/// Hands the next frame of a source to the link, which loses, delays or doubles it.
void PortSender::disturb(Playing& playing, Instant now) {
  const std::span<const std::byte> bytes = std::span{playing.room}.first(playing.next->length);
  // As a sender's stamp: before the link, which makes frames late.
  if (options_.mark && playing.source.probes) {
    options_.mark(std::span{playing.room}.first(playing.next->length), playing.source.number);
  }
  count(playing, playing.next->length, now - playing.next->at);
  // When it was due, not when we came round: a fault holds for the frames of its time.
  const LinkDisturber::Fate fate = disturber_.decide(playing.next->at);
  const auto source = static_cast<std::size_t>(&playing - sources_.data());
  for (const std::optional<Instant>& arrival : {fate.arrival, fate.copy}) {
    if (arrival) delayed_.emplace(*arrival, Delayed{source, {bytes.begin(), bytes.end()}});
  }
}

bool PortSender::send_due(Instant now) {
  while (staged_.size() < options_.batch_max) {
    Playing* playing = earliest();
    const bool due = playing != nullptr && playing->next->at <= now;
    if (due && disturber_.active()) {
      disturb(*playing, now);
      pull(*playing);
    } else if (due) {
      const auto source = static_cast<std::size_t>(playing - sources_.data());
      stage(source, std::span{playing->room}.first(playing->next->length), playing->next->at,
            false);
      pull(*playing);
    } else if (!delayed_.empty() && delayed_.begin()->first <= now) {
      const auto& [arrival, frame] = *delayed_.begin();
      stage(frame.source, frame.bytes, arrival, true);
      delayed_.erase(delayed_.begin());
    } else {
      break;
    }
  }
  const bool full = staged_.size() == options_.batch_max;
  flush(now);
  return full;
}

void PortSender::flush(Instant now) {
  std::vector<std::span<const std::byte>> frames;
  for (std::size_t i = 0; i < staged_.size(); ++i) {
    const Staged& each = staged_[i];
    const std::span<std::byte> bytes =
        std::span{slots_}.subspan(i * options_.frame_size_max, each.length);
    const Source& source = sources_[each.source].source;
    if (options_.mark && source.probes && !each.counted) options_.mark(bytes, source.number);
    frames.push_back(bytes);
  }
  std::size_t done = 0;
  while (done < frames.size()) {
    const std::size_t sent = options_.wire(std::span{frames}.subspan(done));
    for (const std::size_t end = done + sent; done < end; ++done) {
      const Staged& each = staged_[done];
      if (!each.counted) count(sources_[each.source], each.length, now - each.due);
    }
    // The one that was refused is given up, as a full transmit ring of a real port does.
    if (done < frames.size()) ++sources_[staged_[done++].source].counters.refused;
  }
  staged_.clear();
}

}  // namespace sluice::sim
