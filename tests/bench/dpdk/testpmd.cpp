#include "tests/bench/dpdk/testpmd.hpp"

#include <charconv>

#include "tests/bench/bench.hpp"

namespace sluice::bench {
namespace {

constexpr std::chrono::milliseconds kAnswerTime{20'000};
constexpr std::string_view kSentLabel = "TX-packets:";

}  // namespace

Result<Testpmd, std::string> Testpmd::start(const ForwarderSetup& setup, const std::string& mode) {
  // Its answers would stay in its buffer: a pipe is no terminal.
  std::vector<std::string> command{"stdbuf", "-oL", kProgram};
  const std::vector<std::string> memory = memory_arguments(setup);
  command.insert(command.end(), memory.begin(), memory.end());
  const std::string control = std::to_string(setup.control_core);
  command.insert(command.end(),
                 {"-l", control + "," + std::to_string(setup.forwarding_core), "--main-lcore",
                  control, "--no-telemetry", "--vdev", source_device(setup), "--vdev",
                  sink_device(), "--", "-i", "--nb-cores=1", "--burst=32", "--portmask=3",
                  "--total-num-mbufs=" + std::to_string(setup.buffer_count), "--no-flush-rx",
                  "--forward-mode=" + mode});
  auto child = ChildProcess::start(
      {.command = std::move(command), .log_file = setup.folder + "/testpmd.log", .talk = true});
  if (!child) return unexpected(child.error());
  Testpmd testpmd{std::move(*child)};
  if (!testpmd.child_.say("start\n")) return unexpected(testpmd.child_.last_words());
  if (auto warm = wait_for_packets(testpmd, 1); !warm) return unexpected(warm.error());
  return testpmd;
}

Result<SentCount, std::string> Testpmd::count() {
  SentCount sent;
  const std::int64_t asked_ns = now_ns();
  if (!child_.say("show port stats 1\n")) {
    return unexpected("testpmd ended: " + child_.last_words());
  }
  while (const auto line = child_.hear(deadline_in(kAnswerTime))) {
    const std::size_t label = line->find(kSentLabel);
    if (label == std::string::npos) continue;
    // It looked at its counters some time between the question and the answer.
    sent.when_ns = (asked_ns + now_ns()) / 2;
    const std::size_t first = line->find_first_not_of(' ', label + kSentLabel.size());
    if (first == std::string::npos) break;
    const auto [end, error] =
        std::from_chars(line->data() + first, line->data() + line->size(), sent.packet_count);
    if (error == std::errc{} && end != line->data() + first) return sent;
    break;
  }
  return unexpected("testpmd does not answer: " + child_.last_words());
}

}  // namespace sluice::bench
