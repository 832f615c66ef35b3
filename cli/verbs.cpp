#include "cli/verbs.hpp"

#include <algorithm>
#include <vector>

#include "core/function/config_value.hpp"

namespace sluice::cli {
namespace {

constexpr std::string_view kSimulator =
    "Install libns3-dev and configure with -DSLUICE_SIM=ON; ./run does both.";
constexpr std::string_view kDpdk =
    "Install libdpdk-dev and configure with -DSLUICE_DPDK=ON; ./test does both.";
constexpr std::string_view kLater = "It is not part of this version.";
constexpr Verb kVerbs[] = {
    {"check", "check a deployment file and show what it says", "Build the target sluice-check."},
    {"sim", "simulate a deployment", kSimulator},
    {"host", "run the data path of a host", kDpdk},
    {"nf", "run an instance of a network function", "Build the target sluice-nf."},
    {"testbed", "run a deployment on this machine in network namespaces",
     "It is a script of the tree: configure again."},
    {"apply", "change running hosts to a new file", "Build the target sluice-apply."},
    {"ctl", "start, stop and drain instances by hand", "Build the target sluice-ctl."},
    {"place", "compute where instances should run", kLater},
    {"top", "show hosts, instances, rings, flows and drops live", "Build the target sluice-top."},
    {"bench", "measure, beside a peer in the same run",
     "Configure with -DSLUICE_TESTS=ON and build all targets."},
    {"plot", "draw the plots of a results folder",
     "Install python3-matplotlib and python3-pandas; ./run does it."},
};

}  // namespace

std::span<const Verb> verbs() {
  return kVerbs;
}

const Verb* find_verb(std::string_view name) {
  const auto found = std::ranges::find(kVerbs, name, &Verb::name);
  return found == std::end(kVerbs) ? nullptr : &*found;
}

std::string help_text() {
  std::string text =
      "Sluice: service chains of network functions that scale, simulated and real.\n\n"
      "Usage: sluice VERB [ARGUMENT...]\n\nVerbs:\n";
  for (const Verb& verb : kVerbs) {
    text += "  ";
    text += verb.name;
    text.append(10 - verb.name.size(), ' ');
    text += verb.summary;
    text += '\n';
  }
  text +=
      "\n`sluice VERB --help` says more. Example:\n"
      "  sluice sim experiments/autoscale/autoscale.yaml\n";
  return text;
}

std::string unknown_verb_text(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Verb& verb : kVerbs) names.push_back(verb.name);
  return "sluice: unknown verb; got " + ConfigValue::scalar(std::string(word), {}).describe() +
         "; expected " + one_of_with_hint(word, names);
}

}  // namespace sluice::cli
