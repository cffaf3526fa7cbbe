#include "policy/mesh/launch.h"

#include <charconv>
#include <optional>

#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::int64_t kMaxRanks = 65536;
constexpr std::int64_t kMaxPort = 65535;

// The environment as it is asked here: a variable that is empty is not set.
class Variables {
 public:
  explicit Variables(const Environment& environment) : environment_(environment) {}

  std::optional<std::string> find(const char* name) const {
    const char* value = environment_(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  }

  std::string text(const char* name, const std::string& beside) const {
    if (auto value = find(name)) return *value;
    throw InputError({.source = "environment",
                      .field = name,
                      .expected = "a value beside " + beside,
                      .actual = "nothing"});
  }

  std::int64_t number(const char* name, const std::string& beside, std::int64_t minimum,
                      std::int64_t maximum) const {
    const std::string value = text(name, beside);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size() && number >= minimum &&
        number <= maximum) {
      return number;
    }
    throw InputError(
        {.source = "environment",
         .field = name,
         .expected = "a number from " + std::to_string(minimum) + " to " + std::to_string(maximum),
         .actual = "\"" + value + "\""});
  }

 private:
  const Environment& environment_;
};

void read_ranks(const Variables& variables, const char* rank, const char* world_size,
                Launch& launch) {
  launch.world_size = static_cast<int>(variables.number(world_size, rank, 1, kMaxRanks));
  launch.rank = static_cast<int>(variables.number(rank, world_size, 0, kMaxRanks));
  if (launch.rank < launch.world_size) return;
  throw InputError({.source = "environment",
                    .field = rank,
                    .expected = std::string("less than ") + world_size + " (" +
                                std::to_string(launch.world_size) + ")",
                    .actual = std::to_string(launch.rank)});
}

std::uint16_t read_port(const Variables& variables, const std::string& beside) {
  return static_cast<std::uint16_t>(variables.number("MASTER_PORT", beside, 1, kMaxPort));
}

Launch from_torchrun(const Variables& variables) {
  Launch launch;
  read_ranks(variables, "RANK", "WORLD_SIZE", launch);
  if (launch.world_size == 1) return launch;
  launch.master_addr = variables.text("MASTER_ADDR", "WORLD_SIZE");
  launch.master_port = read_port(variables, "WORLD_SIZE");
  launch.agent_store = variables.find("TORCHELASTIC_USE_AGENT_STORE") == "True";
  launch.run_id = variables.find("TORCHELASTIC_RUN_ID").value_or("") + "/" +
                  variables.find("TORCHELASTIC_RESTART_COUNT").value_or("0");
  return launch;
}

Launch from_slurm(const Variables& variables) {
  Launch launch;
  read_ranks(variables, "SLURM_PROCID", "SLURM_NTASKS", launch);
  if (launch.world_size == 1) return launch;
  constexpr std::int64_t kMaxId = std::int64_t{1} << 32;
  const std::int64_t job = variables.number("SLURM_JOB_ID", "SLURM_PROCID", 0, kMaxId);
  const std::int64_t step = variables.find("SLURM_STEP_ID")
                                ? variables.number("SLURM_STEP_ID", "SLURM_PROCID", 0, kMaxId)
                                : 0;
  launch.run_id = std::to_string(job) + "." + std::to_string(step);
  const auto address = variables.find("MASTER_ADDR");
  launch.master_addr =
      address ? *address : first_host(variables.text("SLURM_STEP_NODELIST", "SLURM_PROCID"));
  if (variables.find("MASTER_PORT")) {
    launch.master_port = read_port(variables, "SLURM_PROCID");
  } else {
    // Below the ports that Linux hands out by itself, and another one for each job and step.
    constexpr std::int64_t kFirst = 15000;
    constexpr std::int64_t kCount = 15000;
    launch.master_port = static_cast<std::uint16_t>(kFirst + (job % kCount + step) % kCount);
  }
  return launch;
}

}  // namespace

Launch read_launch(const Environment& environment) {
  const Variables variables(environment);
  if (variables.find("RANK") || variables.find("WORLD_SIZE")) return from_torchrun(variables);
  // Inside a batch script, SLURM_PROCID is set for the script itself: only a step has ranks.
  if (variables.find("SLURM_STEP_NODELIST") && variables.find("SLURM_PROCID"))
    return from_slurm(variables);
  return {};
}

std::string first_host(const std::string& node_list) {
  const std::size_t open = node_list.find_first_of("[,");
  std::string host = node_list.substr(0, open);
  if (open != std::string::npos && node_list[open] == '[') {
    host += node_list.substr(open + 1, node_list.find_first_of("-,]", open) - open - 1);
    // "rack[1-2]n" goes on behind the bracket.
    const std::size_t close = node_list.find(']', open);
    if (close != std::string::npos) {
      host += node_list.substr(close + 1, node_list.find_first_of("[,", close) - close - 1);
    }
  }
  if (!host.empty()) return host;
  throw InputError({.source = "environment",
                    .field = "SLURM_STEP_NODELIST",
                    .expected = "a list of hosts, such as node[01-04]",
                    .actual = "\"" + node_list + "\""});
}

}  // namespace zeroth
