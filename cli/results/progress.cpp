#include "cli/results/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::cli {
namespace {

constexpr Duration kTerminalInterval = std::chrono::milliseconds{200};
constexpr Duration kLogInterval = std::chrono::seconds{10};

double in_seconds(Duration duration) {
  return static_cast<double>(duration.count()) * 1e-9;
}

/// "12 s", "3 min 05 s", "2 h 07 min": what a waiting person can use.
std::string left_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::min(seconds, 1e9) + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string count_text(double count) {
  if (count >= 1e6) return fmt::format("{:.2f} M", count * 1e-6);
  if (count >= 1e3) return fmt::format("{:.1f} k", count * 1e-3);
  return fmt::format("{:.0f} ", count);
}

}  // namespace

Progress::Progress(Options options)
    : options_(std::move(options)), started_(options_.clock()), shown_(started_) {}

void Progress::update(Instant simulated, std::uint64_t packet_count) {
  const Duration now = options_.clock();
  if (now - shown_ < (options_.terminal ? kTerminalInterval : kLogInterval)) return;
  show(now, simulated, packet_count);
}

void Progress::finish(Instant simulated, std::uint64_t packet_count) {
  show(options_.clock(), simulated, packet_count);
  if (options_.terminal) options_.write("\n");
}

void Progress::show(Duration now, Instant simulated, std::uint64_t packet_count) {
  shown_ = now;
  const double real = std::max(in_seconds(now - started_), 1e-9);
  const double done = in_seconds(simulated.time_since_epoch());
  const double total = in_seconds(options_.total);
  const double part = total > 0 ? std::min(1.0, done / total) : 1.0;
  std::string line = options_.label.empty() ? "" : options_.label + ": ";
  line += fmt::format("{:3.0f} %  {:.2f} s simulated, {:.3g} of real time, {}packets/s", part * 100,
                      done, done / real, count_text(static_cast<double>(packet_count) / real));
  if (part > 0 && part < 1) line += ", " + left_text(real * (1 - part) / part) + " left";
  // Spaces clear what a longer line left behind.
  options_.write(options_.terminal ? fmt::format("\r{:<79}", line) : line + "\n");
}

}  // namespace sluice::cli
