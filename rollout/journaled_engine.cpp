#include "rollout/journaled_engine.h"

#include <stdexcept>
#include <utility>

namespace zeroth {

std::vector<Group> JournaledEngine::generate(std::span<const GenerateRequest> requests,
                                             const SamplingParams& sampling,
                                             const GroupSink& on_group) {
  statistics_ = {};
  std::vector<Group> groups(requests.size());
  std::vector<GenerateRequest> missing;
  std::vector<std::size_t> place;  // of each missing request
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].step != requests[0].step)
      throw std::invalid_argument("journaled generate: requests of two steps in one call");
    if (auto found = journal_.find(requests[i], sampling)) {
      groups[i] = *std::move(found);
      if (on_group) on_group(i, groups[i]);
    } else {
      missing.push_back(requests[i]);
      place.push_back(i);
    }
  }
  if (missing.empty()) return groups;
  std::vector<Group> sampled =
      engine_.generate(missing, sampling, [&](std::size_t m, const Group& group) {
        journal_.append(missing[m], sampling, group);
        if (on_group) on_group(place[m], group);
      });
  statistics_ = engine_.statistics();
  journal_.sync();
  for (std::size_t m = 0; m < missing.size(); ++m) groups[place[m]] = std::move(sampled[m]);
  return groups;
}

}  // namespace zeroth
