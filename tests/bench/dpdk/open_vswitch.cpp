#include "tests/bench/dpdk/open_vswitch.hpp"

#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "tests/bench/bench.hpp"

namespace sluice::bench {
namespace {

constexpr const char* kSchema = "/usr/share/openvswitch/vswitch.ovsschema";

/// The names of what lies in its folder.
struct Paths {
  explicit Paths(const std::string& own_folder) : folder(own_folder) {}
  std::string folder;
  std::string log = folder + "/ovs.log";
  std::string database = folder + "/conf.db";
  std::string database_socket = folder + "/db.sock";
  std::string switch_control = folder + "/switch.ctl";
  std::string bridge_control = folder + "/br0.mgmt";

  [[nodiscard]] ChildProcess::Options options(std::vector<std::string> command) const {
    return {.command = std::move(command),
            .environment = {"OVS_RUNDIR=" + folder, "OVS_LOGDIR=" + folder},
            .log_file = log};
  }
};

std::string mask_of(int core) {
  char text[32];
  *std::to_chars(text, text + sizeof text - 1, std::uint64_t{1} << core, 16).ptr = '\0';
  return std::string{"0x"} + text;
}

Result<ChildProcess, std::string> start_database(const Paths& paths) {
  if (auto made = run_program(paths.options({"ovsdb-tool", "create", paths.database, kSchema}));
      !made) {
    return unexpected(made.error());
  }
  auto database = ChildProcess::start(paths.options(
      {OpenVswitch::kDatabase, paths.database, "--remote=punix:" + paths.database_socket,
       "--unixctl=" + paths.folder + "/db.ctl", "-vconsole:warn"}));
  if (!database) return database;
  const auto ready = UnixClient::connect_when_ready(paths.database_socket, *database);
  if (!ready) return unexpected(ready.error());
  return database;
}

std::vector<std::string> vsctl(const Paths& paths, std::vector<std::string> words) {
  words.insert(words.begin(), {"ovs-vsctl", "--db=unix:" + paths.database_socket, "-t", "20"});
  return words;
}

/// What must stand in the database before the switch starts.
std::vector<std::string> settings(const Paths& paths, const ForwarderSetup& setup) {
  // --legacy-mem: else it adds --in-memory, which DPDK refuses together with --no-huge.
  const std::string memory = setup.huge_pages ? "--no-pci"
                                              : "--no-huge --no-shconf --legacy-mem -m 1024 "
                                                "--no-pci";
  return vsctl(paths, {"--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                       "other_config:dpdk-extra=\"" + memory + "\"",
                       "other_config:pmd-cpu-mask=" + mask_of(setup.forwarding_core),
                       "other_config:dpdk-lcore-mask=" + mask_of(setup.control_core),
                       "other_config:emc-insert-inv-prob=1"});
}

std::vector<std::string> ports(const Paths& paths, const ForwarderSetup& setup) {
  return vsctl(paths, {"add-br",
                       "br0",
                       "--",
                       "set",
                       "bridge",
                       "br0",
                       "datapath_type=netdev",
                       "--",
                       "add-port",
                       "br0",
                       "p0",
                       "--",
                       "set",
                       "Interface",
                       "p0",
                       "type=dpdk",
                       "options:dpdk-devargs=\"" + source_device(setup) + "\"",
                       "--",
                       "add-port",
                       "br0",
                       "p1",
                       "--",
                       "set",
                       "Interface",
                       "p1",
                       "type=dpdk",
                       "options:dpdk-devargs=\"" + sink_device() + "\""});
}

}  // namespace

Result<OpenVswitch, std::string> OpenVswitch::start(const ForwarderSetup& setup,
                                                    std::uint64_t packet_count_warm) {
  const Paths paths{setup.folder};
  auto database = start_database(paths);
  if (!database) return unexpected(database.error());
  if (auto set = run_program(paths.options(settings(paths, setup))); !set) {
    return unexpected(set.error());
  }
  auto the_switch = ChildProcess::start(
      paths.options({kSwitch, "unix:" + paths.database_socket, "--unixctl=" + paths.switch_control,
                     "--pidfile=" + paths.folder + "/switch.pid", "-vconsole:warn"}));
  if (!the_switch) return unexpected(the_switch.error());
  auto client = UnixClient::connect_when_ready(paths.switch_control, *the_switch);
  if (!client) return unexpected(client.error());
  OpenVswitch result{std::move(*database), std::move(*the_switch), std::move(*client)};
  if (auto added = run_program(paths.options(ports(paths, setup))); !added) {
    return unexpected(added.error());
  }
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"ovs-ofctl", "del-flows", paths.bridge_control},
        std::vector<std::string>{"ovs-ofctl", "add-flow", paths.bridge_control,
                                 "in_port=p0,udp,tp_dst=80,actions=output:p1"}}) {
    if (auto run = run_program(paths.options(command)); !run) return unexpected(run.error());
  }
  if (auto warm = wait_for_packets(result, packet_count_warm); !warm) {
    return unexpected(warm.error() + "; " + result.switch_.last_words());
  }
  return result;
}

/// JSON-RPC 1.0. Messages have no end mark: one is complete when it parses.
Result<std::string, std::string> OpenVswitch::ask(const std::string& method,
                                                  const std::vector<std::string>& arguments) {
  const nlohmann::json question = {{"id", 0}, {"method", method}, {"params", arguments}};
  if (!client_.say(question.dump())) {
    return unexpected("ovs-vswitchd ended: " + switch_.last_words());
  }
  std::string answer;
  while (const auto more = client_.hear()) {
    answer += *more;
    const auto json = nlohmann::json::parse(answer, nullptr, false);
    if (json.is_discarded()) continue;
    if (json.contains("result") && json["result"].is_string()) {
      return json["result"].get<std::string>();
    }
    return unexpected("ovs-vswitchd: " + answer);
  }
  return unexpected("ovs-vswitchd does not answer: " + switch_.last_words());
}

Result<SentCount, std::string> OpenVswitch::count() {
  const std::int64_t asked_ns = now_ns();
  const auto text = ask("dpctl/show", {"-s"});
  if (!text) return unexpected(text.error());
  SentCount sent{.when_ns = (asked_ns + now_ns()) / 2};
  constexpr std::string_view kLabel = "TX packets:";
  const std::size_t port = text->find(": p1 (");
  if (port == std::string::npos) return sent;  // Not there yet.
  const std::size_t label = text->find(kLabel, port);
  if (label == std::string::npos) return unexpected("ovs-vswitchd: no counter in " + *text);
  const char* begin = text->data() + label + kLabel.size();
  std::from_chars(begin, text->data() + text->size(), sent.packet_count);
  return sent;
}

}  // namespace sluice::bench
