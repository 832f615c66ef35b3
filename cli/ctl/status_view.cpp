#include "cli/ctl/status_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "cli/ctl/text_table.hpp"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using Cell = TextTable::Cell;

constexpr double kPpm = 1e6;
constexpr std::size_t kBarWidth = 10;

double number(const Json& object, const char* key) {
  return object.value(key, 0.0);
}

std::string text(const Json& object, const char* key) {
  return object.value(key, "");
}

const Json& list(const Json& status, const char* key) {
  static const Json kNone = Json::array();
  const auto found = status.find(key);
  return found == status.end() ? kNone : *found;
}

/// Makes cells of a counter: per second since a status before, or as a total.
class Counters {
 public:
  Counters(const Json& status, const Json* before) : before_(before) {
    if (before == nullptr) return;
    seconds_ = (number(status, "counted_ns") - number(*before, "counted_ns")) * 1e-9;
    // The host is another one of the same name, or has counted nothing new.
    if (seconds_ <= 0 || number(status, "uptime_s") < number(*before, "uptime_s")) {
      before_ = nullptr;
    }
  }
  [[nodiscard]] bool are_rates() const { return before_ != nullptr; }
  /// As a column's title.
  [[nodiscard]] std::string title(const std::string& what, const std::string& each) const {
    return what + " " + each + (are_rates() ? "/s" : "");
  }
  /// The counter `key` of the thing `name` in the list `kind`.
  [[nodiscard]] double of(const char* kind, const Json& thing, const char* key) const {
    const double value = number(thing, key);
    if (!are_rates()) return value;
    for (const Json& each : list(*before_, kind)) {
      if (text(each, "name") == text(thing, "name")) return per_second(value, number(each, key));
    }
    return per_second(value, 0);
  }
  [[nodiscard]] double of_drop(const std::string& reason, double value) const {
    if (!are_rates()) return value;
    return per_second(value, before_->value("drops", Json::object()).value(reason, 0.0));
  }

 private:
  [[nodiscard]] double per_second(double now, double then) const {
    return std::max(0.0, now - then) / seconds_;
  }

  const Json* before_ = nullptr;
  double seconds_ = 1;
};

TextStyle style_of_loss(double value) {
  return value > 0 ? TextStyle::kBad : TextStyle::kPlain;
}

TextStyle style_of_part(double part) {
  if (part >= 0.8) return TextStyle::kBad;
  return part >= 0.5 ? TextStyle::kWarning : TextStyle::kGood;
}

std::string percent(double part) {
  return fmt::format("{:.0f} %", part * 100);
}

std::string bar(double part) {
  const double clamped = std::clamp(part, 0.0, 1.0);
  const auto filled = static_cast<std::size_t>(std::lround(clamped * kBarWidth));
  return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "]";
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(0.0, seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string latency_text(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.1f} us", ns * 1e-3);
  if (ns < 1e9) return fmt::format("{:.1f} ms", ns * 1e-6);
  return fmt::format("{:.1f} s", ns * 1e-9);
}

std::string head(const Json& status, const ViewOptions& options) {
  const Json none = Json::object();
  const Json buffers = status.value("buffers", none), cores = status.value("cores", none);
  const bool ready = status.value("ready", false);
  const double free = number(buffers, "free"), total = number(buffers, "total");
  const std::string name = text(status, "host");
  const std::string rest = fmt::format("  {}  up {}  ", text(status, "deployment"),
                                       duration_text(number(status, "uptime_s")));
  std::string line = styled(name, TextStyle::kBold, options.colour) + rest +
                     styled(ready ? "ready" : "starting",
                            ready ? TextStyle::kGood : TextStyle::kWarning, options.colour);
  std::string second =
      fmt::format("flows {}  buffers {:.0f} of {:.0f} free  cores {:.0f} of {:.0f}",
                  short_number(number(status, "flows")), free, total, number(cores, "used"),
                  number(cores, "total"));
  return line + "\n" + second.substr(0, options.width) + "\n";
}

std::string ports(const Json& status, const Counters& counters, const ViewOptions& options) {
  TextTable table({{"port", false},
                   {counters.title("in", "packets")},
                   {counters.are_rates() ? "in bit/s" : "in bytes"},
                   {counters.title("out", "packets")},
                   {counters.are_rates() ? "out bit/s" : "out bytes"},
                   {counters.are_rates() ? "lost/s" : "lost"}});
  const double scale = counters.are_rates() ? 8 : 1;
  for (const Json& port : list(status, "ports")) {
    const auto of = [&](const char* key) { return counters.of("ports", port, key); };
    const double lost = of("missed") + of("no_buffer");
    table.add({{text(port, "name")},
               {short_number(of("received_packets"))},
               {short_number(of("received_bytes") * scale)},
               {short_number(of("sent_packets"))},
               {short_number(of("sent_bytes") * scale)},
               {short_number(lost), style_of_loss(lost)}});
  }
  return table.empty() ? "" : "\n" + table.render(options.width, options.colour);
}

std::string instances(const Json& status, const Counters& counters, const ViewOptions& options) {
  TextTable table({{"instance", false},
                   {"state", false},
                   {"pid"},
                   {"ring", false},
                   {"load"},
                   {"flows"},
                   {counters.are_rates() ? "packets/s" : "packets"},
                   {counters.are_rates() ? "drops/s" : "drops"}});
  std::vector<Json> sorted;
  for (const Json& instance : list(status, "instances")) sorted.push_back(instance);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Json& a, const Json& b) {
    return std::pair{text(a, "service"), number(a, "number")} <
           std::pair{text(b, "service"), number(b, "number")};
  });
  for (const Json& instance : sorted) {
    const bool is_inline = instance.value("inline", false);
    const double capacity = number(instance, "ring_capacity");
    const double fill = capacity > 0 ? number(instance, "ring_size") / capacity : 0;
    const double load = number(instance, "load_ppm") / kPpm;
    const double drops = counters.of("instances", instance, "ring_full_drops");
    const std::string state = text(instance, "state");
    const TextStyle state_style = state == "running"                           ? TextStyle::kGood
                                  : state == "starting" || state == "draining" ? TextStyle::kWarning
                                                                               : TextStyle::kBad;
    table.add({{text(instance, "name")},
               {state, state_style},
               {is_inline ? "inline" : fmt::format("{:.0f}", number(instance, "pid"))},
               {is_inline ? "" : bar(fill), style_of_part(fill)},
               {is_inline ? "" : percent(load), style_of_part(load)},
               {short_number(number(instance, "flows"))},
               {short_number(counters.of("instances", instance, "delivered_packets"))},
               {short_number(drops), style_of_loss(drops)}});
  }
  return table.empty() ? "" : "\n" + table.render(options.width, options.colour);
}

std::string chains(const Json& status, const Counters& counters, const ViewOptions& options) {
  TextTable table({{"chain", false},
                   {counters.title("in", "packets")},
                   {counters.title("out", "packets")},
                   {counters.are_rates() ? "drops/s" : "drops"},
                   {"latency p50"},
                   {"p99"}});
  for (const Json& chain : list(status, "chains")) {
    const double drops = counters.of("chains", chain, "dropped_packets");
    table.add({{text(chain, "name")},
               {short_number(counters.of("chains", chain, "entered_packets"))},
               {short_number(counters.of("chains", chain, "left_packets"))},
               {short_number(drops), style_of_loss(drops)},
               {latency_text(number(chain, "latency_p50_ns"))},
               {latency_text(number(chain, "latency_p99_ns"))}});
  }
  return table.empty() ? "" : "\n" + table.render(options.width, options.colour);
}

std::string drops(const Json& status, const Counters& counters, const ViewOptions& options) {
  std::vector<TextTable::Column> columns = {{"drops by reason", false}};
  if (counters.are_rates()) columns.push_back({"packets/s"});
  columns.push_back({"total"});
  TextTable table(std::move(columns));
  const Json by_reason = status.value("drops", Json::object());
  for (const auto& [reason, count] : by_reason.items()) {
    const double total = count.is_number() ? count.get<double>() : 0;
    const double rate = counters.of_drop(reason, total);
    std::vector<Cell> row = {{reason}};
    const bool is_loss = reason != "copy_done";  // A copy ends so.
    if (counters.are_rates()) {
      row.push_back({short_number(rate), is_loss ? style_of_loss(rate) : TextStyle::kPlain});
    }
    row.push_back({short_number(total)});
    table.add(std::move(row));
  }
  return table.empty() ? "" : "\n" + table.render(options.width, options.colour);
}

}  // namespace

std::string short_number(double value) {
  if (value > 0 && value < 9.95 && value != std::floor(value)) return fmt::format("{:.1f}", value);
  if (value < 9999.5) return fmt::format("{:.0f}", value);
  constexpr std::array<char, 6> kSuffixes = {'k', 'M', 'G', 'T', 'P', 'E'};
  std::size_t i = 0;
  value /= 1000;
  while (value >= 999.5 && i + 1 < kSuffixes.size()) {
    value /= 1000;
    ++i;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, decimals, kSuffixes[i]);
}

std::string view_of(const Json& status, const Json* before, const ViewOptions& options) {
  const Counters counters{status, before};
  return head(status, options) + ports(status, counters, options) +
         instances(status, counters, options) + chains(status, counters, options) +
         drops(status, counters, options);
}

}  // namespace sluice::cli
