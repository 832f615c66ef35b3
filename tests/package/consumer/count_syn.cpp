// A network function written outside the tree: counts TCP connection attempts, and drops what it
// cannot read. main() gives it a batch of three frames and checks what it decided.
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/function/function_runtime.hpp"
#include "core/function/network_function.hpp"
#include "core/packet/headers.hpp"

namespace {

class CountSyn final : public sluice::NetworkFunction {
 public:
  explicit CountSyn(int& count) : count_(count) {}

  void process(sluice::PacketBatch& batch, sluice::Context&) noexcept override {
    for (sluice::Packet& packet : batch) {
      const auto headers = sluice::parse(batch.bytes(packet));
      if (!headers) {
        packet.drop(sluice::DropReason::kParseError);
        continue;
      }
      const int flags = headers->tcp_flags & (sluice::kTcpSyn | sluice::kTcpAck);
      if (headers->l4 == sluice::L4::kTcp && flags == sluice::kTcpSyn) ++count_;
      packet.next();
    }
  }

 private:
  int& count_;
};

// A TCP SYN from 10.0.0.1:1234 to 10.0.0.2:80, as on the wire.
constexpr std::array<unsigned char, 54> kSyn = {
    0x02, 0,    0,  0,  0, 2, 0x02, 0, 0,  0, 0,    1,    0x08, 0,  // Ethernet
    0x45, 0,    0,  40, 0, 0, 0x40, 0, 64, 6, 0x26, 0xce, 10,   0,
    0,    1,    10, 0,  0, 2,  // IPv4
    0x04, 0xd2, 0,  80, 0, 0, 0,    1, 0,  0, 0,    0,    0x50, 0x02,
    0xff, 0xff, 0,  0,  0, 0};  // TCP

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "count-syn: %s\n", what);
  std::exit(1);
}

}  // namespace

int main() {
  constexpr std::uint32_t kBufferSize = 2048;
  std::vector<std::byte> bytes(3 * kBufferSize);
  const sluice::PacketMemory memory{bytes, kBufferSize};
  sluice::PacketBatch batch{memory};
  for (std::uint32_t i = 0; i < 3; ++i) {
    sluice::Packet packet{};
    packet.buffer = i;
    packet.offset = sluice::kHeadroom;
    packet.length = i == 2 ? 13 : kSyn.size();  // The third ends within its Ethernet header.
    batch.push(packet);
    for (std::size_t k = 0; k < packet.length; ++k) memory.bytes(packet)[k] = std::byte{kSyn[k]};
  }
  memory.bytes(batch[1])[47] = std::byte{0x12};  // The second is a SYN-ACK.

  int count = 0;
  sluice::FunctionRuntime::Options options;
  options.memory = memory;
  sluice::FunctionRuntime runtime{std::make_unique<CountSyn>(count), options};
  runtime.process(batch, sluice::Instant{});

  check(count == 1, "did not count exactly the SYN");
  check(batch[0].verdict == sluice::Verdict::kNext, "did not pass the SYN on");
  check(batch[1].verdict == sluice::Verdict::kNext, "did not pass the SYN-ACK on");
  check(batch[2].verdict == sluice::Verdict::kDrop, "did not drop the frame that is cut short");
  std::puts("count-syn: 1 SYN, 2 passed on, 1 dropped");
  return 0;
}
