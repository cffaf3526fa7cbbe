#include "tools/eval_completions.h"

#include <boost/json.hpp>
#include <cmath>

#include "system/json.h"

namespace zeroth {
namespace {

boost::json::string text_of(std::string_view text) {
  return boost::json::string(text.data(), text.size());
}

}  // namespace

EvalCompletions::EvalCompletions(const std::filesystem::path& file,
                                 const std::vector<Problem>& problems)
    : file_(file), problems_(problems) {}

void EvalCompletions::write(const EvaluatedSamples& samples,
                            const std::vector<NamedScores>& rewards) {
  const auto n = static_cast<std::size_t>(samples.num_generations);
  for (std::size_t i = 0; i < samples.items.size(); ++i) {
    const RewardItem& item = samples.items[i];
    const Problem& problem = problems_[i / n];
    boost::json::object scores;
    for (const NamedScores& reward : rewards) {
      const double score = reward.scores[i];
      scores[reward.name] = std::isnan(score) ? boost::json::value() : boost::json::value(score);
    }
    const boost::json::object line{
        {"id", problem.id},
        {"index", i % n},
        {"decoding", samples.greedy ? "greedy" : "sample"},
        {"prompt", text_of(item.prompt)},
        {"completion", text_of(item.completion)},
        {"reference", text_of(item.reference)},
        {"correct", rewards[0].scores[i] > 0.5},
        {"rewards", std::move(scores)},
        {"num_tokens", item.num_tokens},
        {"max_tokens", item.max_tokens},
        {"finish_reason", item.finish_reason == FinishReason::length ? "length" : "stop"},
        {"columns", JsonReader::parse(problem.columns_json, problem.id).value()}};
    file_.write(write_json(line) + "\n");
  }
}

}  // namespace zeroth
