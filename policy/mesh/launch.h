// Who this process is among the ranks of a run, as torchrun, Slurm's srun or a user's shell says in
// the environment. Zeroth starts no processes itself.
//
//   torchrun, or by hand    RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT
//   srun                    SLURM_PROCID, SLURM_NTASKS, the first host of SLURM_STEP_NODELIST and a
//                           port made of SLURM_JOB_ID and SLURM_STEP_ID, unless MASTER_ADDR and
//                           MASTER_PORT say otherwise
//
// torchrun's agent may itself serve a key-value store on MASTER_PORT
// (TORCHELASTIC_USE_AGENT_STORE); rank 0 then listens elsewhere and says where in that store
// (policy/mesh/tcp_store.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace zeroth {

struct Launch {
  int rank = 0;
  int world_size = 1;
  std::string master_addr = {};   // host of rank 0; not read when world_size is 1
  std::uint16_t master_port = 0;  // where rank 0 listens, or the agent's store
  bool agent_store = false;
  std::string run_id = {};  // tells one start of a run from another in the same store
};

/// The value of a variable, nullptr where it is not set: std::getenv, or a test's own.
using Environment = std::function<const char*(const char* name)>;

/// One rank where the environment says nothing. InputError naming the variable that is missing
/// beside the others, no number, or out of range.
Launch read_launch(const Environment& environment);

/// "node03" of "node[03-07,9],login1", as Slurm writes lists of hosts; InputError for no host.
std::string first_host(const std::string& node_list);

}  // namespace zeroth
