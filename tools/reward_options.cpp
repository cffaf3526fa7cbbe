#include "tools/reward_options.h"

#include "system/error.h"

namespace zeroth {
namespace {

void require_text(const char* key, const char* expected, const std::string& value) {
  if (!value.empty()) return;
  throw InputError(
      {.source = "configuration", .field = key, .expected = expected, .actual = "nothing"});
}

}  // namespace

void check(const RewardNewConfig& config) {
  require_text("name", "a name, as in zeroth reward new brevity", config.name);
}

void check(const RewardBuildConfig& config) {
  require_text("directory", "a directory", config.directory);
}

void check(const RewardTestConfig& config) {
  require_text("reward", "a reward, as in zeroth reward test ./brevity.so", config.reward);
  ScoreConfig score;
  static_cast<NamedRewardOptions&>(score) = config;
  score.dataset_name = "items";
  score.reward_funcs = {config.reward};
  check(score);
}

void check(const RewardListConfig& config) {
  require_text("reward_python", "a program", config.reward_python);
}

}  // namespace zeroth
