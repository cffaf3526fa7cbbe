#include "tools/distill_data.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "datasets/problem_source.h"
#include "rl/trace_filter.h"
#include "system/error.h"
#include "tools/chat_prompts.h"

namespace zeroth {

namespace fs = std::filesystem;

std::int64_t num_sampled_problems(const DistillOptions& options, const DistillData& data) {
  const auto all = static_cast<std::int64_t>(data.train.size());
  return options.num_problems == 0 ? all : std::min(options.num_problems, all);
}

const std::string& test_source(const DistillOptions& options) {
  return options.eval_dataset_name.empty() ? options.dataset_name : options.eval_dataset_name;
}

DistillData load_distill_data(const DistillOptions& options) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const bool same = options.eval_dataset_name.empty();
  if (same && fs::exists(options.dataset_name)) {
    throw InputError({.source = "eval_dataset_name",
                      .field = "",
                      .expected = "a file of test problems, as " + options.dataset_name +
                                  " is a file and has no splits",
                      .actual = "nothing"});
  }
  std::vector<Problem> train =
      load_problems(options.dataset_name, options.dataset_split, "train", options.columns, seed);
  std::vector<Problem> test = load_problems(test_source(options), options.eval_dataset_split,
                                            "test", options.columns, seed);
  PromptTemplate prompt_template =
      prompts_of_problems(options, options.teacher_model_name_or_path, {&train, &test});
  return distill_data(options, train, std::move(test), std::move(prompt_template));
}

DistillData distill_data(const DistillOptions& options, const std::vector<Problem>& train,
                         std::vector<Problem> test, PromptTemplate prompt_template) {
  // Also those that are not evaluated are held out.
  DistillData data{.train = without_held_out(train, test),
                   .held_out = 0,
                   .test = std::move(test),
                   .prompt_template = std::move(prompt_template)};
  data.held_out = static_cast<std::int64_t>(train.size() - data.train.size());
  if (data.train.empty()) {
    throw InputError({.source = options.dataset_name,
                      .field = "",
                      .expected = "a problem that is not among the test problems",
                      .actual = "none of " + std::to_string(train.size())});
  }
  const auto limit = static_cast<std::size_t>(options.num_eval_problems);
  if (limit > 0 && data.test.size() > limit) data.test.resize(limit);
  return data;
}

}  // namespace zeroth
