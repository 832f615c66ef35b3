#include "core/function/registry.hpp"

#include "core/functions/functions.hpp"

namespace sluice {

FunctionRegistry built_in_functions() {
  FunctionRegistry registry;
  registry.add("busy", make_busy_program);
  registry.add("delay", make_delay_program);
  registry.add("external", make_external_program);
  registry.add("firewall", make_firewall_program);
  registry.add("forward", make_forward_program);
  registry.add("ids", make_ids_program);
  registry.add("load_balancer", make_load_balancer_program);
  registry.add("load_generator", make_load_generator_program);
  registry.add("monitor", make_monitor_program);
  registry.add("rate_limiter", make_rate_limiter_program);
  registry.add("router", make_router_program);
  registry.add("stuck", make_stuck_program);
  return registry;
}

}  // namespace sluice
