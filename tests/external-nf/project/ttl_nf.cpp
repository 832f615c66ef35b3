// A network function outside of Sluice's tree: lowers the TTL as so many routers would. Settings:
// `by` (1 to 255, default 1), and `spare`: a file with a source port a line whose packets it leaves
// alone.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "backends/process/nf.hpp"
#include "core/packet/headers.hpp"

namespace {

struct Options {
  std::uint64_t by = 1;
  std::vector<std::uint16_t> spared_ports;
};

class LowerTtl final : public sluice::NetworkFunction {
 public:
  explicit LowerTtl(const Options& options) : options_(options) {}

  void process(sluice::PacketBatch& batch, sluice::Context&) noexcept override {
    for (sluice::Packet& packet : batch) {
      const auto frame = batch.bytes(packet);
      auto headers = sluice::parse(frame);
      if (!headers) {
        packet.drop(sluice::DropReason::kParseError);
      } else if (!lower(frame, *headers)) {
        packet.drop(sluice::DropReason::kTtl);
      } else {
        packet.next();
      }
    }
  }

 private:
  bool lower(std::span<std::byte> frame, sluice::Headers& headers) const noexcept {
    const auto& spared = options_.spared_ports;
    if (std::find(spared.begin(), spared.end(), headers.source_port) != spared.end()) return true;
    for (std::uint64_t i = 0; i < options_.by; ++i) {
      if (sluice::decrement_ttl(frame, headers) != sluice::Rewrite::kDone) return false;
    }
    return true;
  }

  const Options& options_;
};

class TtlProgram final : public sluice::Program {
 public:
  explicit TtlProgram(Options options) : options_(std::move(options)) { traits_.name = "ttl"; }

  const sluice::Traits& traits() const override { return traits_; }
  std::unique_ptr<sluice::NetworkFunction> make_instance(
      const sluice::InstanceConfig&) const override {
    return std::make_unique<LowerTtl>(options_);
  }

 private:
  sluice::Traits traits_;
  Options options_;
};

sluice::Result<std::unique_ptr<sluice::Program>> make_program(const sluice::ConfigValue& settings,
                                                              const std::string& path,
                                                              const sluice::FileReader& read_file) {
  sluice::MapReader reader(settings, path);
  Options options;
  options.by = reader.integer("by", options.by, {.min = 1, .max = 255});
  if (const sluice::ConfigValue* spare = reader.value("spare")) {
    const auto text = read_file(spare->text());
    if (!text) reader.fail(spare->place(), "spare", text.error(), spare->describe(), "a file");
    std::istringstream lines(text.value_or(""));
    for (std::uint16_t port = 0; lines >> port;) options.spared_ports.push_back(port);
  }
  if (auto error = reader.finish()) return sluice::unexpected(*error);
  return std::make_unique<TtlProgram>(std::move(options));
}

}  // namespace

int main(int argc, char** argv) {
  return sluice::nf::main_of(argc, argv, make_program);
}
