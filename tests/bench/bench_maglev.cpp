#include "core/chain/maglev.hpp"
#include "tests/bench/bench_groups.hpp"

namespace sluice::bench {

/// The time to build a table of the paper's size for its 1,000 members.
void bench_maglev(Bench& bench) {
  bench.progress("maglev.build");
  std::vector<MaglevMember> members;
  for (std::uint16_t id = 0; id < 1000; ++id) members.push_back({id, 1});
  const double build_ns = bench.repeat([&] {
    std::uint16_t result = 0;
    const double ns = time_ns([&] { result = MaglevTable{members}.lookup(0x1234567812345678u); });
    bench.keep(result);
    return ns;
  });
  bench.add_lower_is_better("maglev.build", "ms", "bound", {.value = build_ns / 1e6, .peer = 1.8},
                            {.required = 1.0, .aim = 3.0});
}

}  // namespace sluice::bench
