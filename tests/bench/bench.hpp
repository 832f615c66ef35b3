#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// A small harness for benchmarks that judge a value beside a peer measured in the same run.
///
/// Not Google Benchmark, because a row here is a comparison: value and peer take turns (A B B A),
/// so that what disturbs the machine disturbs both, and the ratio is what counts (DESIGN 12).
namespace sluice::bench {

/// How much is measured.
enum class Effort : std::uint8_t {
  kSmoke,  ///< Each benchmark once, tiny: the figures mean nothing. For tests.
  kQuick,  ///< Under 60 s for all groups together.
  kFull,
};

/// One line of the result.
struct Row {
  std::string id{};
  double value = 0;
  std::string unit{};
  std::string peer{};  ///< What `value` is compared with; "bound": an absolute limit; "": nothing.
  double peer_value = 0;
  std::optional<double> ratio{};     ///< Higher is better, whatever the unit.
  std::optional<double> required{};  ///< The least ratio that the project accepts.
  std::optional<double> aim{};       ///< The ratio to work for.
};

/// What a value is judged by. Absent: it is shown only.
struct Goal {
  std::optional<double> required{};
  std::optional<double> aim{};
};

/// Medians of two things that took turns.
struct Pair {
  double value = 0;
  double peer = 0;
};

/// Collects rows and shows progress; given to each group.
class Bench {
 public:
  Bench(Effort effort, std::string group_names);

  [[nodiscard]] Effort effort() const { return effort_; }
  /// One of three by effort.
  template <class T>
  [[nodiscard]] T pick(T smoke, T quick, T full) const {
    if (effort_ == Effort::kSmoke) return smoke;
    return effort_ == Effort::kQuick ? quick : full;
  }
  /// How many rounds medians are taken of: at least 7, but 1 in a smoke run.
  [[nodiscard]] int rounds() const { return pick(1, 7, 15); }

  /// Calls both in turn, value peer peer value, rounds() times. Each call returns what it measured,
  /// the lower the better.
  [[nodiscard]] Pair take_turns(const std::function<double()>& value,
                                const std::function<double()>& peer) const;
  /// The median of rounds() calls.
  [[nodiscard]] double repeat(const std::function<double()>& value) const;

  void add(Row row);
  /// A row of lower-is-better values: ratio = peer / value.
  void add_lower_is_better(std::string id, std::string unit, std::string peer, const Pair& pair,
                           const Goal& goal);
  /// A row that is shown and not judged.
  void add_plain(std::string id, double value, std::string unit);

  /// Says on stderr what is measured now. `step` of `step_count` of the whole run.
  void progress(std::string_view what);
  /// How many calls of progress() are to come; for the estimate of the time left.
  void expect_steps(int count) { step_count_ += count; }

  /// Takes in a result, so that the compiler must compute it. The sum is printed.
  void keep(std::uint64_t result) { checksum_ = (checksum_ ^ result) * 0x9e3779b97f4a7c15u; }
  [[nodiscard]] std::uint64_t checksum() const { return checksum_; }
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

 private:
  Effort effort_;
  std::string group_names_;
  std::vector<Row> rows_;
  std::uint64_t checksum_ = 0;
  std::int64_t started_ns_;
  int step_ = 0;
  int step_count_ = 0;
};

/// A group of rows: one function in a file of its own.
struct Group {
  std::string_view name;  ///< What the command line selects.
  void (*run)(Bench& bench);
  int steps = 1;  ///< How often it calls progress().
};

/// Nanoseconds that never go back.
[[nodiscard]] std::int64_t now_ns();
/// Nanoseconds that `work` takes.
[[nodiscard]] double time_ns(const std::function<void()>& work);

/// The middle of `values`, of which there is at least one.
[[nodiscard]] double median(std::vector<double> values);

/// The numbers of the processors that the process may use, as they were at its first call.
[[nodiscard]] const std::vector<int>& processors();
/// Keeps the calling thread on one processor, the `index`-th that the process may use.
/// @return False if there are not that many.
bool pin_thread(std::size_t index);
/// Nanoseconds for one cache line to go from one pinned thread to another, `count` times; nothing
/// on a machine with one processor.
[[nodiscard]] std::optional<double> cache_line_bounce_ns(std::uint64_t count);
/// Nanoseconds to start the smallest program and see it end.
[[nodiscard]] double fork_exec_ns();
/// What the machine gives: rows machine.*. 6 steps.
void bench_machine(Bench& bench);

/// The whole of a benchmark program: reads the command line, measures the machine, runs the groups,
/// prints a table to stdout, writes --json. @return The exit code: 0 done, 1 a required ratio was
/// missed, 2 usage, 3 the file cannot be written.
[[nodiscard]] int run(std::string_view program, std::span<const Group> groups, int argc,
                      char** argv);

}  // namespace sluice::bench
