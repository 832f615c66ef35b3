#include <vector>

#include "tests/conformance/packet_io_suite.hpp"
#include "tests/support/loopback_host.hpp"

namespace sluice::conformance {
namespace {

class LoopbackEnd {
 public:
  static constexpr std::size_t kHeaderBytesLost = 0;

  explicit LoopbackEnd(const EndOptions& options)
      : room_(options.queue_frames),
        bytes_(std::size_t{options.buffer_count} * options.buffer_size),
        memory_(bytes_, options.buffer_size),
        io_(memory_, 2),
        taken_(2) {
    io_.output_room = room_;
  }
  test::LoopbackIo& io() { return io_; }
  [[nodiscard]] PacketMemory memory() const { return memory_; }
  [[nodiscard]] std::uint32_t available() const { return io_.available(); }
  [[nodiscard]] Instant now() const { return now_; }
  void offer(PortId port, const frames::Bytes& frame) {
    io_.inject(port, frame, now_);
    now_ += Duration{1};
  }
  /// The wire takes what the ports have sent, so there is room again.
  void settle() {
    for (std::uint16_t i = 0; i < 2; ++i) {
      auto& waiting = io_.output(PortId{i});
      taken_[i].insert(taken_[i].end(), waiting.begin(), waiting.end());
      waiting.clear();
    }
  }
  [[nodiscard]] std::vector<frames::Bytes> sent(PortId port) { return taken_[index_of(port)]; }

 private:
  std::size_t room_;
  std::vector<std::byte> bytes_;
  PacketMemory memory_;
  test::LoopbackIo io_;
  std::vector<std::vector<frames::Bytes>> taken_;
  Instant now_{Duration{1}};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Loopback, PacketIoSuite, LoopbackEnd);

}  // namespace
}  // namespace sluice::conformance
