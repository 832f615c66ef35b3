// Any text as a site file, and as a file of measured costs: it gives a site or one line that says
// why not, and never more.
//
// link: sluice::deployment sluice::functions
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.hpp"
#include "core/deployment/costs.hpp"
#include "core/deployment/parser.hpp"
#include "core/deployment/site.hpp"

namespace sluice {
namespace {

constexpr std::string_view kDeployment = R"(
name: fuzz
hosts:
  h1: {cores: 4, clock: 2 GHz, workers: 2, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}
  h2: {cores: 4, clock: 2 GHz, ports: {p0: {rate: 1 Gbps}}}
services: {watch: {function: monitor}}
chains: {all: {from: h1.p0, to: h1.p1, steps: [watch]}}
)";

void check_message(const ConfigError& error) {
  const std::string text = error.to_string();
  SLUICE_CHECK(!error.problem.empty() && !error.place.file.empty());
  SLUICE_CHECK(text.find('\n') == std::string::npos);
}

void check_site_text(std::string_view text) {
  static const auto deployment =
      parse_deployment(kDeployment, "fuzz.yaml", built_in_functions(), {});
  SLUICE_CHECK(deployment.has_value());
  const auto site = parse_site(text, "site.yaml", *deployment);
  if (!site) return check_message(site.error());
  SLUICE_CHECK(site->hosts.size() == 2);
  SLUICE_CHECK(site->hosts[0].ports.size() == 2 && site->hosts[1].ports.size() == 1);
  const auto& cores = site->hosts[0].worker_cores;
  SLUICE_CHECK(cores.empty() || cores.size() == 2);
}

void check_costs_text(std::string_view text) {
  const auto costs = parse_costs(text, "costs.yaml");
  if (!costs) return check_message(costs.error());
  const std::string written = costs_text(*costs);
  if (written.empty()) return;  // It says nothing, and an empty file is a mistake.
  const auto again = parse_costs(written, "again.yaml");
  SLUICE_CHECK(again.has_value());
  SLUICE_CHECK(costs_text(*again) == written);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE: bytes are characters here.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  sluice::check_site_text(text);
  sluice::check_costs_text(text);
  return 0;
}
