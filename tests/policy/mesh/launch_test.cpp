#include "policy/mesh/launch.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "system/error.h"

namespace zeroth {
namespace {

using Variables = std::map<std::string, std::string>;

Launch launch(const Variables& variables) {
  return read_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

const Variables kTorchrun{{"RANK", "2"},
                          {"LOCAL_RANK", "0"},
                          {"WORLD_SIZE", "4"},
                          {"MASTER_ADDR", "node01"},
                          {"MASTER_PORT", "29500"}};
const Variables kSlurm{{"SLURM_PROCID", "3"},
                       {"SLURM_NTASKS", "8"},
                       {"SLURM_JOB_ID", "30007"},
                       {"SLURM_STEP_ID", "2"},
                       {"SLURM_STEP_NODELIST", "n[07-09,11]"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}
Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

InputError refusal(const Variables& variables) {
  try {
    launch(variables);
  } catch (const InputError& error) {
    return error;
  }
  FAIL("was not refused");
  throw;
}

TEST_CASE("launch: without variables there is one rank", "[policy]") {
  CHECK(launch({}).world_size == 1);
  CHECK(launch({}).rank == 0);
  CHECK(launch({{"MASTER_ADDR", "node01"}, {"LOCAL_RANK", "1"}}).world_size == 1);
}

TEST_CASE("launch: torchrun's variables", "[policy]") {
  const Launch plain = launch(kTorchrun);
  CHECK(plain.rank == 2);
  CHECK(plain.world_size == 4);
  CHECK(plain.master_addr == "node01");
  CHECK(plain.master_port == 29500);
  CHECK_FALSE(plain.agent_store);
  Variables agent = with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True");
  agent["TORCHELASTIC_RUN_ID"] = "abc";
  agent["TORCHELASTIC_RESTART_COUNT"] = "1";
  CHECK(launch(agent).agent_store);
  CHECK(launch(agent).run_id == "abc/1");
  CHECK(launch(with(agent, "TORCHELASTIC_RESTART_COUNT", "2")).run_id != launch(agent).run_id);
}

TEST_CASE("launch: one of one needs no address", "[policy]") {
  CHECK(launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).world_size == 1);
}

TEST_CASE("launch: Slurm's variables", "[policy]") {
  const Launch step = launch(kSlurm);
  CHECK(step.rank == 3);
  CHECK(step.world_size == 8);
  CHECK(step.master_addr == "n07");
  CHECK(step.master_port == 15000 + 30007 % 15000 + 2);
  CHECK(step.run_id == "30007.2");
  CHECK(launch(with(kSlurm, "MASTER_PORT", "1234")).master_port == 1234);
  CHECK(launch(with(kSlurm, "MASTER_ADDR", "10.0.0.1")).master_addr == "10.0.0.1");
  // A batch script itself is no step: it has a number and runs alone.
  CHECK(launch(without(kSlurm, "SLURM_STEP_NODELIST")).world_size == 1);
}

TEST_CASE("launch: a variable that is missing or malformed is named", "[policy]") {
  for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) {
    CHECK(refusal(without(kTorchrun, name)).parts().field == name);
    CHECK(refusal(with(kTorchrun, name, "")).parts().field == name);
  }
  for (const char* value : {"x", "2x", "-1", "1.5", " 1", "99999999999999999999"}) {
    CHECK(refusal(with(kTorchrun, "RANK", value)).parts().field == "RANK");
    CHECK(refusal(with(kTorchrun, "WORLD_SIZE", value)).parts().field == "WORLD_SIZE");
    CHECK(refusal(with(kTorchrun, "MASTER_PORT", value)).parts().field == "MASTER_PORT");
  }
  CHECK(refusal(with(kTorchrun, "MASTER_PORT", "65536")).parts().field == "MASTER_PORT");
  CHECK(refusal(with(kTorchrun, "WORLD_SIZE", "0")).parts().field == "WORLD_SIZE");
  CHECK(refusal(without(kSlurm, "SLURM_NTASKS")).parts().field == "SLURM_NTASKS");
  CHECK(refusal(without(kSlurm, "SLURM_JOB_ID")).parts().field == "SLURM_JOB_ID");
  const InputError too_large = refusal(with(kTorchrun, "RANK", "4"));
  CHECK(std::string(too_large.what()) ==
        "environment: RANK: expected less than WORLD_SIZE (4), got 4");
}

TEST_CASE("launch: the first host of a list", "[policy]") {
  CHECK(first_host("node") == "node");
  CHECK(first_host("a,b,c") == "a");
  CHECK(first_host("node[03-07,9],login1") == "node03");
  CHECK(first_host("node[5]") == "node5");
  CHECK(first_host("node[5,7]") == "node5");
  CHECK(first_host("rack[1-2]n,other") == "rack1n");
  CHECK_THROWS_AS(first_host(""), InputError);
  CHECK_THROWS_AS(first_host(",a"), InputError);
}

}  // namespace
}  // namespace zeroth
