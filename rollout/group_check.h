// Whether groups that came from elsewhere can be this model's: what the learner indexes with must
// be in range, whoever sent it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/model_config.h"
#include "rollout/engine.h"

namespace zeroth {

class GroupCheck {
 public:
  /// `config` and `sampling` must outlive this; `source` is who sent the groups, for errors.
  GroupCheck(const ModelConfig& config, const SamplingParams& sampling, std::string source);

  /// InputError for a group that cannot be the answer to `request`.
  void check(const Group& group, const GenerateRequest& request) const;

 private:
  void check_experts(const std::vector<std::uint16_t>& experts, std::size_t tokens,
                     const char* field) const;
  void check_tokens(const Completion& completion) const;
  [[noreturn]] void fail(const char* field, const std::string& expected,
                         const std::string& actual) const;

  const ModelConfig& config_;
  const SamplingParams& sampling_;
  const std::string source_;
  const std::size_t experts_per_token_;
  const std::int64_t fewest_experts_;
};

}  // namespace zeroth
