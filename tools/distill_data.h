// The problems of a distillation: those that are sampled and those that are evaluated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "tools/distill_options.h"

namespace zeroth {

struct DistillData {
  std::vector<Problem> train;  // without the problems of `test`
  std::int64_t held_out = 0;   // problems that were left out of `train` for that
  std::vector<Problem> test;
  PromptTemplate prompt_template;
};

/// The problems that `options` names. InputError when every training problem is a test problem.
DistillData load_distill_data(const DistillOptions& options);

/// The same from lists.
DistillData distill_data(const DistillOptions& options, const std::vector<Problem>& train,
                         std::vector<Problem> test, PromptTemplate prompt_template);

/// What the test problems come from, for errors.
const std::string& test_source(const DistillOptions& options);

/// How many of data.train are sampled.
std::int64_t num_sampled_problems(const DistillOptions& options, const DistillData& data);

}  // namespace zeroth
