#include "rollout/distributed_engine.h"

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "rollout/group_record.h"

namespace zeroth {

GenerationStatistics DistributedEngine::sum_over_ranks(const GenerationStatistics& own) const {
  static_assert(std::is_trivially_copyable_v<GenerationStatistics>);
  GenerationStatistics sum;
  for (const std::string& bytes :
       ranks_.gather({reinterpret_cast<const char*>(&own), sizeof own})) {
    GenerationStatistics part;
    std::memcpy(&part, bytes.data(), sizeof part);
    sum.prompt_tokens += part.prompt_tokens;
    sum.sampled_tokens += part.sampled_tokens;
    sum.forward_passes += part.forward_passes;
    sum.peak_pages += part.peak_pages;
    sum.finished_completions += part.finished_completions;
    sum.num_completions += part.num_completions;
    sum.preemptions += part.preemptions;
    sum.recomputed_tokens += part.recomputed_tokens;
  }
  return sum;
}

std::vector<Group> DistributedEngine::generate(std::span<const GenerateRequest> requests,
                                               const SamplingParams& sampling,
                                               const GroupSink& on_group) {
  if (ranks_.size() == 1) {
    std::vector<Group> groups = engine_.generate(requests, sampling, on_group);
    statistics_ = engine_.statistics();
    return groups;
  }
  const Share own = ranks_.share(requests.size(), ranks_.rank());
  std::vector<Group> sampled;
  if (own.count() > 0) {
    sampled = engine_.generate(requests.subspan(own.begin, own.count()), sampling,
                               [&](std::size_t i, const Group& group) {
                                 if (on_group) on_group(own.begin + i, group);
                               });
  }
  statistics_ = sum_over_ranks(own.count() > 0 ? engine_.statistics() : GenerationStatistics());
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
