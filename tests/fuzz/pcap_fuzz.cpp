// link: sluice::packet pcap
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "core/check.hpp"
#include "sim/workload/capture.hpp"
#include "sim/workload/replay_generator.hpp"

// The sources themselves, because a build without the simulator (SLUICE_SIM=OFF, as for fuzzing
// with clang) has no target for them, and they need nothing of it.
#include "sim/workload/capture.cpp"
#include "sim/workload/rate_curve.cpp"
#include "sim/workload/replay_generator.cpp"

// Any bytes as a capture file: it is read or refused with one line, and what was read can be
// replayed, rewritten, at its own pace.
namespace sluice::sim {
namespace {

void replay(Capture capture) {
  constexpr std::uint32_t kPassCount = 2;
  const auto frame_count = capture.frames().size();
  ReplayGenerator generator(std::make_shared<const Capture>(std::move(capture)),
                            {.pass_count_max = kPassCount,
                             .rate = {},
                             .stop = Instant{std::chrono::hours{24 * 365 * 100}}});
  std::array<std::byte, 2048> room;
  Instant last{};
  std::size_t count = 0;
  while (const auto frame = generator.next(room)) {
    SLUICE_CHECK(frame->length <= 1522);
    SLUICE_CHECK(frame->at >= last);
    last = frame->at;
    ++count;
  }
  SLUICE_CHECK(count <= kPassCount * frame_count);
}

}  // namespace
}  // namespace sluice::sim

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  sluice::sim::Capture::Options limits;
  limits.frame_count_max = 256;
  limits.size_bytes_max = 1 << 16;
  auto capture = sluice::sim::Capture::parse(file, "fuzz.pcap", limits);
  if (!capture) {
    const auto text = capture.error().to_string();
    SLUICE_CHECK(text.find('\n') == std::string::npos);
    return 0;
  }
  SLUICE_CHECK(!capture->frames().empty() && capture->frames().size() <= 256);
  sluice::sim::replay(std::move(*capture));
  return 0;
}
