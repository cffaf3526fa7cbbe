#include "tools/named_rewards.h"

#include "rewards/registry.h"

namespace zeroth {

WeightedRewards named_rewards(const std::vector<std::string>& names,
                              const std::vector<double>& weights) {
  std::vector<std::unique_ptr<Reward>> rewards;
  for (const std::string& name : names) rewards.push_back(make_reward(name));
  return WeightedRewards(std::move(rewards), weights);
}

}  // namespace zeroth
