// Any text as a deployment file: it gives a deployment or one line that says why not, and never
// more. A line "#set KEY=VALUE" at its start is applied to it as `--set` would be.
//
// Words for the fuzzer, our own keys: -dict=tests/fuzz/deployment.dict
//
// link: sluice::deployment sluice::functions
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.hpp"
#include "core/deployment/parser.hpp"

namespace sluice {
namespace {

Result<std::string, std::string> read_small_file(const std::string& path) {
  if (path.find("none") != std::string::npos) return unexpected(std::string("no such file"));
  if (path.ends_with(".csv")) return std::string("64,0.5\n1500,1\n");
  if (path.ends_with(".pcap")) return "\xd4\xc3\xb2\xa1" + std::string(40, '\0');
  return std::string("attack\nevil\n");
}

void check_message(const ConfigError& error) {
  const std::string text = error.to_string();
  SLUICE_CHECK(!error.problem.empty() && !error.place.file.empty());
  SLUICE_CHECK(text.find('\n') == std::string::npos);
}

void check_deployment_text(std::string_view text) {
  static const FunctionRegistry functions = built_in_functions();
  std::string_view setting;
  if (text.starts_with("#set ")) setting = text.substr(5, text.find('\n') - 5);
  auto tree = parse_yaml(text, "fuzz.yaml");
  if (!tree) return check_message(tree.error());
  if (const std::size_t equals = setting.find('='); equals != std::string_view::npos) {
    const auto done = apply_override(*tree, setting.substr(0, equals), setting.substr(equals + 1));
    if (!done) return check_message(done.error());
  }
  const auto deployment = check_deployment(*tree, functions, read_small_file);
  if (!deployment) return check_message(deployment.error());
  const std::string resolved = resolved_json(*deployment);
  if (resolved.size() > DeploymentLimits::kFileBytesMax) return;
  const auto again = parse_deployment(resolved, "resolved.json", functions, read_small_file);
  SLUICE_CHECK(again.has_value());
  SLUICE_CHECK(resolved_json(*again) == resolved);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE: bytes are characters here.
  sluice::check_deployment_text({reinterpret_cast<const char*>(data), size});
  return 0;
}
