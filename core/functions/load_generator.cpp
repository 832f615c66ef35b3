#include "core/functions/load_generator.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"
#include "core/functions/settings.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"
#include "core/packet/mac_text.hpp"

namespace sluice {
namespace {

constexpr std::uint8_t kUdp = 17, kTtl = 64;
constexpr std::size_t kEthernetBytes = 14, kUdpBytes = 8;

std::uint32_t address_bits(const IpPrefix& prefix) {
  return prefix.address.ip_version == 4 ? 32u : 128u;
}

// Address `number` of a prefix: `number` modulo its size is added to its low 32 bits.
IpBytes address_in(const IpPrefix& prefix, std::uint64_t number) {
  const std::uint32_t host_bits = std::min(address_bits(prefix) - prefix.length, 32u);
  const auto low = static_cast<std::uint32_t>(number & ((std::uint64_t{1} << host_bits) - 1));
  IpBytes bytes = prefix.address.bytes;
  const std::size_t end = address_bits(prefix) / 8;
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[end - 1 - i] = static_cast<std::uint8_t>(bytes[end - 1 - i] | low >> (8 * i));
  }
  return bytes;
}

void write_template(std::span<std::byte> frame, const LoadGenerator::Options& options) {
  set_destination_mac(frame, options.destination_mac);
  set_source_mac(frame, options.source_mac);
  std::byte* ip = frame.data() + kEthernetBytes;
  const bool ipv4 = options.source.address.ip_version == 4;
  const auto ip_bytes = static_cast<std::uint16_t>(frame.size() - kEthernetBytes);
  const std::uint16_t ip_header_bytes = ipv4 ? 20 : 40;
  const auto udp_bytes = static_cast<std::uint16_t>(ip_bytes - ip_header_bytes);
  store_be16(ip - 2, ipv4 ? 0x0800 : 0x86dd);
  if (ipv4) {
    store_u8(ip, 0x45);
    store_be16(ip + 2, ip_bytes);
    store_be16(ip + 6, 0x4000);  // Don't fragment.
    store_u8(ip + 8, kTtl);
    store_u8(ip + 9, kUdp);
  } else {
    store_u8(ip, 0x60);
    store_be16(ip + 4, udp_bytes);
    store_u8(ip + 6, kUdp);
    store_u8(ip + 7, kTtl);
  }
  std::byte* udp = ip + ip_header_bytes;
  store_be16(udp, LoadGenerator::kSourcePortFirst);
  store_be16(udp + 2, options.destination_port);
  store_be16(udp + 4, udp_bytes);
}

}  // namespace

LoadGenerator::LoadGenerator(const Options& options, const InstanceConfig&)
    : options_(options), frame_(options.frame_bytes) {
  write_template(frame_, options_);
  // The checksum of the template itself, so that parse() takes it.
  if (options_.source.address.ip_version == 4) {
    std::byte* ip = frame_.data() + kEthernetBytes;
    store_be16(ip + 10, internet_checksum({ip, 20}));
  }
  const auto headers = parse(frame_);
  SLUICE_CHECK(headers.has_value());
  headers_ = *headers;
}

std::uint64_t LoadGenerator::flow_count_max(const IpPrefix& source) noexcept {
  const std::uint32_t host_bits = std::min(address_bits(source) - source.length, 32u);
  return (std::uint64_t{1} << host_bits) * kSourcePortCount;
}

void LoadGenerator::write(std::span<std::byte> frame, std::uint64_t number) const noexcept {
  SLUICE_CHECK(frame.size() == frame_.size());
  std::memcpy(frame.data(), frame_.data(), frame_.size());
  const std::uint64_t flow = number % options_.flow_count;
  const std::uint64_t addresses = flow_count_max(options_.source) / kSourcePortCount;
  const bool ipv4 = options_.source.address.ip_version == 4;
  const std::size_t address_bytes = ipv4 ? 4 : 16;
  std::byte* ip = frame.data() + kEthernetBytes;
  std::byte* addresses_at = ip + (ipv4 ? 12 : 8);
  const IpBytes source = address_in(options_.source, flow % addresses);
  const IpBytes destination = address_in(options_.destination, flow);
  std::memcpy(addresses_at, source.data(), address_bytes);
  std::memcpy(addresses_at + address_bytes, destination.data(), address_bytes);
  std::byte* udp = frame.data() + headers_.l4_offset;
  store_be16(udp, static_cast<std::uint16_t>(kSourcePortFirst + flow / addresses));
  if (headers_.payload_length >= 8) store_be64(udp + kUdpBytes, number);
  write_checksums(frame, headers_);
}

// Counted from the start, so that no rounding adds up.
Instant LoadGenerator::due(std::uint64_t number) const noexcept {
  const Uint128 bit_ns = Uint128{number} * options_.frame_bytes * 8u * 1'000'000'000u;
  return start_ + Duration{static_cast<std::int64_t>(bit_ns / options_.rate.bps)};
}

void LoadGenerator::generate(Context& context) noexcept {
  const Instant now = context.now();
  if (drained_) return;
  if (!started_) {
    started_ = true;
    start_ = now;
  }
  while (due(number_) <= now && context.release_room() > 0) {
    auto packet = context.make(options_.frame_bytes);
    if (!packet) break;
    write(context.bytes(*packet), totals_.made_count);
    packet->next();
    SLUICE_CHECK(context.release(*packet));
    ++totals_.made_count;
    ++number_;
  }
  // Falling behind must not become a burst later.
  if (due(number_ + Context::kLentMax) <= now) {
    const auto elapsed_ns = static_cast<std::uint64_t>((now - start_).count());
    const Uint128 sent = Uint128{elapsed_ns} * options_.rate.bps /
                         (Uint128{options_.frame_bytes} * 8u * 1'000'000'000u);
    totals_.left_out_count += static_cast<std::uint64_t>(sent) - number_;
    number_ = static_cast<std::uint64_t>(sent);
  }
  wake_at_ = due(number_);
}

void LoadGenerator::process(PacketBatch& batch, Context& context) noexcept {
  for (Packet& packet : batch) packet.next();
  generate(context);
}

void LoadGenerator::tick(Context& context) noexcept {
  generate(context);
}

/// Its own flows would keep it alive for ever.
void LoadGenerator::message(const Message& message, Context&) noexcept {
  if (message.kind != Message::Kind::kDrain) return;
  drained_ = true;
  wake_at_ = Instant::max();
}

ProgramResult make_load_generator_program(const ConfigValue& config, const std::string& path,
                                          const FileReader&) {
  MapReader reader(config, path);
  LoadGenerator::Options options;
  options.rate = reader.rate("rate", options.rate);
  if (options.rate.bps == 0) {
    const ConfigValue* value = reader.value("rate");
    reader.fail(value->place(), "rate", "out of range", value->describe(), "a rate above 0");
  }
  options.frame_bytes = static_cast<std::uint16_t>(
      reader.size_bytes("size", options.frame_bytes, {.min = 64, .max = 9216}));
  options.source = read_text(reader, "src", IpPrefix::parse).value_or(options.source);
  options.destination = read_text(reader, "dst", IpPrefix::parse).value_or(options.destination);
  if (options.source.address.ip_version != options.destination.address.ip_version) {
    const ConfigValue* value = reader.value(reader.has("dst") ? "dst" : "src");
    reader.fail(value->place(), reader.has("dst") ? "dst" : "src", "src and dst of two IP versions",
                value->describe(), "IPv4 twice or IPv6 twice");
  }
  const std::uint64_t flow_count_max =
      std::min<std::uint64_t>(LoadGenerator::flow_count_max(options.source), 1u << 24);
  options.flow_count = static_cast<std::uint32_t>(
      reader.integer("flows", options.flow_count, {.min = 1, .max = flow_count_max}));
  options.destination_port = static_cast<std::uint16_t>(
      reader.integer("dst_port", options.destination_port, {.min = 1, .max = 65535}));
  options.source_mac = read_text(reader, "src_mac", parse_mac).value_or(options.source_mac);
  options.destination_mac =
      read_text(reader, "dst_mac", parse_mac).value_or(options.destination_mac);
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "load_generator";
  traits.generates = true;
  return std::make_unique<FunctionProgram<LoadGenerator>>(std::move(traits), options);
}

}  // namespace sluice
