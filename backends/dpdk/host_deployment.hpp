#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/function/registry.hpp"
#include "core/result.hpp"

namespace sluice::dpdk {

/// A checked deployment file, and how to read what it names.
struct HostDeployment {
  std::shared_ptr<const Deployment> deployment;
  std::string folder;  ///< What paths in the file are relative to.
  FileReader read_file;
};
/// Reads and checks a deployment file's text; `path` is for messages and for the folder.
using DeploymentParser =
    std::function<Result<HostDeployment>(const std::string& text, const std::string& path)>;

/// What the instances of a service are made from. Taken when the deployment file is, so that one
/// that is started again later is like the others, whatever became of the files since.
struct HostedService {
  ServiceSpec spec;
  std::string folder;                        ///< Of the path of an external program.
  std::map<std::string, std::string> files;  ///< By their names in the settings: their bytes.
};

/// By the numbers of the file.
[[nodiscard]] std::vector<HostedService> hosted_services(const HostDeployment& from);

}  // namespace sluice::dpdk
