#include "backends/ns3/simulable.hpp"

#include <string_view>
#include <vector>

#include "core/function/registry.hpp"

namespace sluice {

Result<void> check_simulable(const Deployment& deployment) {
  for (const ServiceSpec& spec : deployment.services) {
    if (spec.traits.external_program.empty()) continue;
    const FunctionRegistry functions = built_in_functions();
    std::vector<std::string_view> names = functions.names();
    std::erase(names, std::string_view{spec.service.function});
    ConfigError error;
    error.place = spec.function_place;
    error.problem = "services." + spec.service.name + ".function: runs only on real hosts";
    error.got = spec.service.function;
    error.expected = "one of " + one_of(names);
    return unexpected(std::move(error));
  }
  return {};
}

}  // namespace sluice
