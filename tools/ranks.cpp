#include "tools/ranks.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>

namespace zeroth {
namespace {

MeshOptions mesh_options(const TrainingOptions& options) {
  return {.rendezvous =
              std::chrono::milliseconds(static_cast<std::int64_t>(options.ranks_timeout * 1000.0))};
}

}  // namespace

Ranks::Ranks(const TrainingOptions& options)
    : mesh_(read_launch([](const char* name) { return std::getenv(name); }), mesh_options(options)),
      collectives_(mesh_) {}

std::string Ranks::description() const {
  return mesh_.size() == 1 ? "" : ", " + std::to_string(mesh_.size()) + " ranks";
}

// Launchers may bind each rank to processors of its own, or leave all of a host to all its ranks.
PolicyOptions Ranks::own_share(const PolicyOptions& options) {
  PolicyOptions own = options;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  const std::string place = mesh_.peers()[static_cast<std::size_t>(mesh_.rank())].host + '\0' +
                            std::string(reinterpret_cast<const char*>(&set), sizeof set);
  const std::vector<std::string> places = collectives_.gather(place);
  const auto sharing = std::count(places.begin(), places.end(), place);
  if (options.num_threads == 0 && sharing > 1)
    own.num_threads = std::max<std::int64_t>(1, CPU_COUNT(&set) / sharing);
  return own;
}

}  // namespace zeroth
