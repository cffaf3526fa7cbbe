#include "rollout/distributed_engine.h"

#include <string>
#include <utility>

#include "rollout/group_record.h"

namespace zeroth {

std::vector<Group> DistributedEngine::generate(std::span<const GenerateRequest> requests,
                                               const SamplingParams& sampling,
                                               const GroupSink& on_group) {
  if (ranks_.size() == 1) return engine_.generate(requests, sampling, on_group);
  const Share own = ranks_.share(requests.size(), ranks_.rank());
  std::vector<Group> sampled;
  if (own.count() > 0) {
    sampled = engine_.generate(requests.subspan(own.begin, own.count()), sampling,
                               [&](std::size_t i, const Group& group) {
                                 if (on_group) on_group(own.begin + i, group);
                               });
  }
  std::string bytes;
  for (const Group& group : sampled) append_group_record(bytes, group);
  const std::vector<std::string> parts = ranks_.gather(bytes);
  std::vector<Group> groups;
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const Share share = ranks_.share(requests.size(), rank);
    auto rest = std::as_bytes(std::span(parts[static_cast<std::size_t>(rank)]));
    for (std::size_t i = share.begin; i < share.end; ++i) {
      if (rank == ranks_.rank()) {
        groups.push_back(std::move(sampled[i - own.begin]));
        continue;
      }
      groups.push_back(read_group_record(rest, "rank " + std::to_string(rank)));
      if (on_group) on_group(i, groups.back());
    }
  }
  return groups;
}

}  // namespace zeroth
