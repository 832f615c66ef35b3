#pragma once

#include <memory>
#include <utility>

#include "core/function/network_function.hpp"

namespace sluice {

/// The Program of a function whose instances differ in nothing but their number: checked options
/// and what they share (`Function::Options`), handed to each `Function(options, instance_config)`.
template <class Function>
class FunctionProgram final : public Program {
 public:
  FunctionProgram(Traits traits, typename Function::Options options)
      : traits_(std::move(traits)), options_(std::move(options)) {}

  [[nodiscard]] const Traits& traits() const override { return traits_; }
  [[nodiscard]] std::unique_ptr<NetworkFunction> make_instance(
      const InstanceConfig& config) const override {
    return std::make_unique<Function>(options_, config);
  }

 private:
  Traits traits_;
  typename Function::Options options_;
};

}  // namespace sluice
