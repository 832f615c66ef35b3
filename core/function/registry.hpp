#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/function/config_value.hpp"
#include "core/function/network_function.hpp"

namespace sluice {

/// Reads a file that a configuration names (a pattern list, say) and gives its bytes, or the reason
/// why not. An argument, because core does no I/O; paths are relative to the naming file.
using FileReader = std::function<Result<std::string, std::string>(const std::string& path)>;

/// Makes a program from a service's settings: the map of the file without the keys that all
/// services share. `path` is how messages call it ("services.ids"). Checks everything; starts
/// nothing.
using ProgramFactory = std::function<Result<std::unique_ptr<Program>>(
    const ConfigValue& config, const std::string& path, const FileReader& read_file)>;

/// The functions a program knows by name. An ordinary value: nothing registers itself.
class FunctionRegistry {
 public:
  void add(std::string name, ProgramFactory factory) {
    factories_[std::move(name)] = std::move(factory);
  }
  [[nodiscard]] const ProgramFactory* find(std::string_view name) const {
    const auto found = factories_.find(name);
    return found == factories_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::vector<std::string_view> names() const {
    std::vector<std::string_view> result;
    for (const auto& [name, factory] : factories_) result.push_back(name);
    return result;
  }

 private:
  std::map<std::string, ProgramFactory, std::less<>> factories_;
};

/// Every built-in function (core/functions).
[[nodiscard]] FunctionRegistry built_in_functions();

}  // namespace sluice
