// The ranks that a training command runs on, as the environment says (policy/mesh/launch.h).
#pragma once

#include <string>

#include "policy/mesh/collectives.h"
#include "policy/mesh/mesh.h"
#include "rl/config.h"

namespace zeroth {

class Ranks {
 public:
  /// Meets the other ranks; alone where the environment names none. Errors as Mesh's and
  /// read_launch's.
  explicit Ranks(const TrainingOptions& options);

  Collectives& collectives() { return collectives_; }
  /// Whether this is the rank that prints and writes.
  bool is_first() const { return collectives_.is_first(); }

  /// ", 2 ranks"; nothing for one.
  std::string description() const;

  /// What this rank computes with: where num_threads is 0, its part of the processors that it
  /// shares with other ranks.
  PolicyOptions own_share(const PolicyOptions& options);

 private:
  Mesh mesh_;
  Collectives collectives_;
};

}  // namespace zeroth
