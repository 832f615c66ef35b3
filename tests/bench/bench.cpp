#include "tests/bench/bench.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "core/check.hpp"

namespace sluice::bench {
namespace {

struct Arguments {
  std::string json_path;
  Effort effort = Effort::kFull;
  std::vector<std::string_view> selected;
  bool help = false;
  std::string error;
};

Arguments parse(std::span<const Group> groups, int argc, char** argv) {
  Arguments arguments;
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const bool known =
        std::ranges::any_of(groups, [&](const Group& group) { return group.name == word; });
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word == "--quick") {
      arguments.effort = Effort::kQuick;
    } else if (word == "--smoke") {
      arguments.effort = Effort::kSmoke;
    } else if (word == "--json" && i + 1 < words.size()) {
      arguments.json_path = words[++i];
    } else if (word == "--json") {
      arguments.error = "--json: no file named; expected --json FILE";
    } else if (known) {
      arguments.selected.push_back(word);
    } else {
      arguments.error = std::string{word} + ": unknown; expected --json FILE, --quick or one of";
      for (const Group& group : groups) arguments.error += " " + std::string{group.name};
    }
  }
  return arguments;
}

void print_help(std::string_view program, std::span<const Group> groups) {
  std::printf(
      "%.*s [GROUP...] [--quick] [--json FILE]\n\nMeasures, each value beside a peer in the "
      "same run. Groups:",
      static_cast<int>(program.size()), program.data());
  for (const Group& group : groups) {
    std::printf(" %.*s", static_cast<int>(group.name.size()), group.name.data());
  }
  std::printf(
      ".\n\n"
      "  --json FILE  also write the rows: {id, value, unit, peer, peer_value, ratio, "
      "required, aim}\n"
      "  --quick      less work: under 60 s\n"
      "  --smoke      once through everything; the figures mean nothing\n\n"
      "Exit: 0 done, 1 a required ratio was missed, 2 usage, 3 FILE cannot be written\n\n"
      "Example: %.*s %.*s --quick --json bench.json\n",
      static_cast<int>(program.size()), program.data(),
      static_cast<int>(groups.front().name.size()), groups.front().name.data());
}

std::string number(std::optional<double> value) {
  if (!value) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", *value);
  return text;
}

bool missed(const Row& row) {
  return row.required && (!row.ratio || *row.ratio < *row.required);
}

void print_table(const std::vector<Row>& rows) {
  std::printf("%-34s %10s %-10s %-18s %10s %8s %8s %6s\n", "id", "value", "unit", "peer",
              "peer value", "ratio", "required", "aim");
  for (const Row& row : rows) {
    const bool compared = !row.peer.empty();
    std::printf("%-34s %10s %-10s %-18s %10s %8s %8s %6s%s\n", row.id.c_str(),
                number(row.value).c_str(), row.unit.c_str(), compared ? row.peer.c_str() : "-",
                compared ? number(row.peer_value).c_str() : "-", number(row.ratio).c_str(),
                number(row.required).c_str(), number(row.aim).c_str(),
                missed(row) ? "  MISSED" : "");
  }
}

nlohmann::ordered_json to_json(const Row& row) {
  const auto maybe = [](std::optional<double> value) -> nlohmann::ordered_json {
    if (!value) return nullptr;
    return *value;
  };
  const bool compared = !row.peer.empty();
  nlohmann::ordered_json json;
  json["id"] = row.id;
  json["value"] = row.value;
  json["unit"] = row.unit;
  json["peer"] = compared ? nlohmann::ordered_json(row.peer) : nullptr;
  json["peer_value"] = compared ? nlohmann::ordered_json(row.peer_value) : nullptr;
  json["ratio"] = maybe(row.ratio);
  json["required"] = maybe(row.required);
  json["aim"] = maybe(row.aim);
  return json;
}

bool write_json(const std::vector<Row>& rows, const std::string& path) {
  auto json = nlohmann::ordered_json::array();
  for (const Row& row : rows) json.push_back(to_json(row));
  std::ofstream file{path};
  file << json.dump(2) << "\n";
  return static_cast<bool>(file.flush());
}

}  // namespace

double median(std::vector<double> values) {
  SLUICE_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double time_ns(const std::function<void()>& work) {
  const std::int64_t start = now_ns();
  work();
  return static_cast<double>(now_ns() - start);
}

Bench::Bench(Effort effort, std::string group_names)
    : effort_(effort), group_names_(std::move(group_names)), started_ns_(now_ns()) {}

Pair Bench::take_turns(const std::function<double()>& value,
                       const std::function<double()>& peer) const {
  std::vector<double> values;
  std::vector<double> peers;
  for (int round = 0; round < rounds(); ++round) {
    const double first = value();
    const double peer_first = peer();
    const double peer_second = peer();
    values.push_back((first + value()) / 2);
    peers.push_back((peer_first + peer_second) / 2);
  }
  return {.value = median(values), .peer = median(peers)};
}

double Bench::repeat(const std::function<double()>& value) const {
  std::vector<double> values;
  for (int round = 0; round < rounds(); ++round) values.push_back(value());
  return median(values);
}

void Bench::add(Row row) {
  rows_.push_back(std::move(row));
}

void Bench::add_lower_is_better(std::string id, std::string unit, std::string peer,
                                const Pair& pair, const Goal& goal) {
  add({.id = std::move(id),
       .value = pair.value,
       .unit = std::move(unit),
       .peer = std::move(peer),
       .peer_value = pair.peer,
       .ratio = pair.peer / pair.value,
       .required = goal.required,
       .aim = goal.aim});
}

void Bench::add_plain(std::string id, double value, std::string unit) {
  add({.id = std::move(id), .value = value, .unit = std::move(unit)});
}

void Bench::progress(std::string_view what) {
  const double elapsed_s = static_cast<double>(now_ns() - started_ns_) / 1e9;
  const int left = std::max(0, step_count_ - step_);
  const double eta_s = step_ == 0 ? 0 : elapsed_s / step_ * left;
  ++step_;
  std::fprintf(stderr, "bench %s: %d/%d %.*s, %.0f s so far", group_names_.c_str(), step_,
               std::max(step_count_, step_), static_cast<int>(what.size()), what.data(), elapsed_s);
  if (step_ > 1) std::fprintf(stderr, ", about %.0f s left", eta_s);
  std::fputc('\n', stderr);
}

int run(std::string_view program, std::span<const Group> groups, int argc, char** argv) {
  const Arguments arguments = parse(groups, argc, argv);
  if (arguments.help) {
    print_help(program, groups);
    return 0;
  }
  if (!arguments.error.empty()) {
    std::fprintf(stderr, "%s\n", arguments.error.c_str());
    return 2;
  }
  Bench bench{arguments.effort, std::string{program}};
  std::vector<Group> chosen{{"machine", bench_machine, 6}};
  std::ranges::copy_if(groups, std::back_inserter(chosen), [&](const Group& group) {
    return arguments.selected.empty() || std::ranges::count(arguments.selected, group.name) > 0;
  });
  for (const Group& group : chosen) bench.expect_steps(group.steps);
  for (const Group& group : chosen) group.run(bench);
  print_table(bench.rows());
  std::printf("checksum of all results: %016llx\n",
              static_cast<unsigned long long>(bench.checksum()));
  if (!arguments.json_path.empty() && !write_json(bench.rows(), arguments.json_path)) {
    std::fprintf(stderr, "%s: cannot be written\n", arguments.json_path.c_str());
    return 3;
  }
  const bool judged = arguments.effort != Effort::kSmoke;
  return judged && std::ranges::any_of(bench.rows(), missed) ? 1 : 0;
}

}  // namespace sluice::bench
