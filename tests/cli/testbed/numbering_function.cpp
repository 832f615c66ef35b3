// A network function of a third party that writes the number of its instance into the source MAC
// address of each frame, so that one can see behind a host where the packets of a flow have been.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backends/process/nf.hpp"
#include "core/functions/function_program.hpp"
#include "core/packet/headers.hpp"
#include "core/packet/packet_batch.hpp"

namespace {

using namespace sluice;

class Numbering final : public NetworkFunction {
 public:
  struct Options {};
  Numbering(const Options&, const InstanceConfig& config)
      : address_{2,
                 0,
                 0,
                 0,
                 static_cast<std::uint8_t>(config.number >> 8),
                 static_cast<std::uint8_t>(config.number)} {}

  void process(PacketBatch& batch, Context&) noexcept override {
    for (Packet& packet : batch) {
      set_source_mac(batch.bytes(packet), address_);
      packet.next();
    }
  }

 private:
  MacAddress address_;
};

Result<std::unique_ptr<Program>> make_program(const ConfigValue&, const std::string&,
                                              const FileReader&) {
  Traits traits;
  traits.name = "numbering";
  return std::make_unique<FunctionProgram<Numbering>>(std::move(traits), Numbering::Options{});
}

}  // namespace

int main(int argc, char** argv) {
  return nf::main_of(argc, argv, make_program);
}
