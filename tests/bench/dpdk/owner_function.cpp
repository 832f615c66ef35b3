// A network function that lets each packet pass and writes down which flows it has. Settings:
// `owners`, their path.
#include <memory>
#include <string>
#include <utility>

#include "backends/process/idle.hpp"
#include "backends/process/nf.hpp"
#include "tests/bench/dpdk/flow_owners.hpp"

namespace {

using namespace sluice;

class NoteFlows final : public NetworkFunction {
 public:
  NoteFlows(std::span<bench::FlowOwners::Owner> owners, std::uint32_t number)
      : owners_(owners), number_(number) {}

  void process(PacketBatch& batch, Context&) noexcept override {
    for (Packet& packet : batch) {
      packet.next();
      auto& owner = owners_[packet.flow % owners_.size()];
      if (owner.instance.load(std::memory_order_relaxed) == number_) continue;
      owner.since_ns.store(static_cast<std::int64_t>(to_ns(monotonic_now())),
                           std::memory_order_relaxed);
      owner.instance.store(number_, std::memory_order_release);
    }
  }

 private:
  std::span<bench::FlowOwners::Owner> owners_;
  std::uint32_t number_;
};

class NoteFlowsProgram final : public Program {
 public:
  explicit NoteFlowsProgram(bench::FlowOwners owners) : owners_(std::move(owners)) {
    traits_.name = "note-flows";
  }
  const Traits& traits() const override { return traits_; }
  std::unique_ptr<NetworkFunction> make_instance(const InstanceConfig& config) const override {
    return std::make_unique<NoteFlows>(owners_.all(), config.number);
  }

 private:
  Traits traits_;
  bench::FlowOwners owners_;
};

Result<std::unique_ptr<Program>> make_program(const ConfigValue& settings, const std::string& path,
                                              const FileReader&) {
  MapReader reader(settings, path);
  reader.require("owners");
  const std::string file = reader.string("owners");
  if (auto error = reader.finish()) return unexpected(*error);
  auto owners = bench::FlowOwners::open(file);
  if (!owners) {
    reader.fail(settings.place(), "owners", owners.error(), file, "the path of flow owners");
    return unexpected(*reader.finish());
  }
  return std::make_unique<NoteFlowsProgram>(std::move(*owners));
}

}  // namespace

int main(int argc, char** argv) {
  return nf::main_of(argc, argv, make_program);
}
