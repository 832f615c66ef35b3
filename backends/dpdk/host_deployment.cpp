#include "backends/dpdk/host_deployment.hpp"

namespace sluice::dpdk {
namespace {

/// A factory says which files it wants by asking for them.
std::map<std::string, std::string> files_of(const ServiceSpec& spec, const FileReader& read_file) {
  std::map<std::string, std::string> files;
  const FunctionRegistry functions = built_in_functions();
  const ProgramFactory* factory = functions.find(spec.service.function);
  if (factory == nullptr) return files;
  const FileReader remembering = [&](const std::string& path) {
    auto bytes = read_file(path);
    if (bytes) files[path] = *bytes;
    return bytes;
  };
  (void)(*factory)(spec.settings, "services." + spec.service.name, remembering);
  return files;
}

}  // namespace

std::vector<HostedService> hosted_services(const HostDeployment& from) {
  std::vector<HostedService> services;
  for (const ServiceSpec& spec : from.deployment->services) {
    services.push_back({spec, from.folder, files_of(spec, from.read_file)});
  }
  return services;
}

}  // namespace sluice::dpdk
