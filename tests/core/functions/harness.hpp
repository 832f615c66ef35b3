#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/function/function_runtime.hpp"
#include "core/function/registry.hpp"
#include "tests/support/frames.hpp"

/// Runs one function on frames, as a worker does inline, for tests.
namespace sluice::functions_test {

/// A configuration as a file gives it. Every value stands in line 1; its column is its place in the
/// order of making, from 1, so that tests can tell places apart.
inline ConfigValue text(std::string value, std::uint32_t column = 1) {
  return ConfigValue::scalar(std::move(value), {"f.yaml", 1, column});
}
inline ConfigValue list(std::vector<ConfigValue> items, std::uint32_t column = 1) {
  return ConfigValue::list(std::move(items), {"f.yaml", 1, column});
}
inline ConfigValue map(std::vector<std::pair<std::string, ConfigValue>> entries,
                       std::uint32_t column = 1) {
  std::vector<ConfigValue::Entry> result;
  for (auto& [key, value] : entries) result.push_back({key, value.place(), value});
  return ConfigValue::map(std::move(result), {"f.yaml", 1, column});
}

/// Gives `contents` for "patterns.txt"; there is no other file.
inline FileReader file_of(std::string contents) {
  return [contents =
              std::move(contents)](const std::string& path) -> Result<std::string, std::string> {
    if (path == "patterns.txt") return contents;
    return unexpected(std::string("no such file"));
  };
}

inline Result<std::unique_ptr<Program>> make_program(const std::string& function,
                                                     const ConfigValue& config,
                                                     const std::string& file = {}) {
  const FunctionRegistry registry = built_in_functions();
  const ProgramFactory* factory = registry.find(function);
  if (factory == nullptr) {
    ADD_FAILURE() << "no function " << function;
    return unexpected(ConfigError());
  }
  return (*factory)(config, "services.s", file_of(file));
}
/// The message that a bad configuration gives; "no error" if it is accepted.
inline std::string error_of(const std::string& function, const ConfigValue& config,
                            const std::string& file = {}) {
  const auto program = make_program(function, config, file);
  return program ? "no error" : program.error().to_string();
}

/// A packet as it came back, with a copy of its frame.
struct Seen {
  Packet packet{};
  frames::Bytes frame;

  [[nodiscard]] Verdict verdict() const { return packet.verdict; }
  [[nodiscard]] DropReason reason() const {
    return packet.verdict == Verdict::kDrop ? static_cast<DropReason>(packet.target)
                                            : DropReason::kNone;
  }
};

/// One instance behind a FunctionRuntime. Checks after each call that every packet is in one place:
/// given back, released once, or held.
class Rig {
 public:
  static constexpr std::uint32_t kBufferCount = 8192;
  explicit Rig(std::unique_ptr<NetworkFunction> function, std::uint32_t label_count = 32)
      : memory_(kBufferCount),
        held_(kBufferCount, false),
        runtime_(std::move(function),
                 {.memory = memory_.view(), .label_bits = label_bits(label_count), .seed = 7}) {}
  explicit Rig(const Program& program, std::uint32_t number = 1)
      : Rig(program.make_instance({.number = number})) {}

  /// Gives the function up to a batch of frames; returns them as decided, held ones as kHold.
  std::vector<Seen> send(const std::vector<frames::Bytes>& batch_frames, Instant now,
                         PortId ingress = PortId{0}) {
    PacketBatch batch(memory_.view());
    std::vector<std::uint32_t> given;
    for (const auto& frame : batch_frames) {
      const std::uint32_t buffer = free_buffer();
      given.push_back(buffer);
      batch.push(memory_.put(buffer, frame, ingress, to_ns(now)));
    }
    runtime_.process(batch, now);
    EXPECT_EQ(batch.size(), given.size());
    std::vector<Seen> result;
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(batch[i].buffer, given[i]) << "changed what it does not own";
      if (batch[i].verdict == Verdict::kHold) held_[given[i]] = true;
      result.push_back({batch[i], memory_.frame(batch[i])});
    }
    collect();
    return result;
  }
  Seen send(const frames::Bytes& frame, Instant now, PortId ingress = PortId{0}) {
    return send(std::vector<frames::Bytes>{frame}, now, ingress).at(0);
  }
  void tick(Instant now) {
    runtime_.tick(now);
    collect();
  }
  void message(const Message& message, Instant now) {
    runtime_.message(message, now);
    collect();
  }
  /// Lends buffers until the function has `count` of them.
  void lend(std::uint32_t count) {
    while (runtime_.lent_count() < count) {
      const std::uint32_t buffer = free_buffer();
      held_[buffer] = true;
      runtime_.lend({&buffer, 1});
    }
  }

  /// What was released or made since the last call, in order.
  std::vector<Seen> released() { return std::exchange(released_, {}); }
  [[nodiscard]] std::uint32_t held_count() const {
    return static_cast<std::uint32_t>(std::count(held_.begin(), held_.end(), true));
  }
  template <class Function>
  Function& as() {
    return dynamic_cast<Function&>(runtime_.function());
  }
  NetworkFunction& function() { return runtime_.function(); }

 private:
  static std::vector<std::uint32_t> label_bits(std::uint32_t count) {
    std::vector<std::uint32_t> bits;
    for (std::uint32_t i = 0; i < count; ++i) bits.push_back(1u << i);
    return bits;
  }
  std::uint32_t free_buffer() {
    do next_ = (next_ + 1) % kBufferCount;
    while (held_[next_]);
    return next_;
  }
  void collect() {
    for (const Packet& packet : runtime_.outbox()) {
      EXPECT_TRUE(held_[packet.buffer]) << "released what it did not hold";
      EXPECT_NE(packet.verdict, Verdict::kHold);
      held_[packet.buffer] = false;
      released_.push_back({packet, memory_.frame(packet)});
    }
    runtime_.clear_outbox();
  }

  frames::Memory memory_;
  std::vector<bool> held_;
  FunctionRuntime runtime_;
  std::vector<Seen> released_;
  std::uint32_t next_ = 0;
};

/// `count` units after the start of time.
inline Instant at(Duration since_start) {
  return Instant{since_start};
}

}  // namespace sluice::functions_test
