#include "core/functions/forward.hpp"

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"

namespace sluice {

ProgramResult make_forward_program(const ConfigValue& config, const std::string& path,
                                   const FileReader&) {
  MapReader reader(config, path);
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "forward";
  traits.affinity = Affinity::kFlow;
  return std::make_unique<FunctionProgram<Forward>>(std::move(traits), Forward::Options{});
}

}  // namespace sluice
