#include "rl/grpo_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <istream>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <type_traits>

#include "rl/training_options.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::uint32_t kRolloutStream = 1;
constexpr int kMostFailedSteps = 3;  // in a row, in which a reward failed on every completion

// Texts and numbers on their way to other ranks.
void put_text(std::ostream& out, const std::string& text) {
  out << text.size() << ' ' << text << ' ';
}
std::string take_text(std::istream& in) {
  std::size_t size = 0;
  in >> size;
  in.get();
  std::string text(size, '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  return text;
}

std::string write_error(const RewardError& error, std::size_t completion,
                        const std::string& place) {
  std::ostringstream out;
  out << completion << ' ' << static_cast<int>(error.outcome().result) << ' ';
  for (const std::string& text : {error.reward(), error.outcome().message, place})
    put_text(out, text);
  return out.str();
}
RewardError read_error(const std::string& bytes) {
  std::istringstream in(bytes);
  std::size_t completion = 0;
  int result = 0;
  in >> completion >> result;
  const std::string reward = take_text(in);
  const std::string message = take_text(in);
  return {reward, completion,
          RewardOutcome{.result = static_cast<RewardResult>(result), .message = message},
          take_text(in)};
}

std::string write_failures(const std::vector<RewardFailure>& failures, std::size_t first_item) {
  std::ostringstream out;
  for (const RewardFailure& failure : failures) {
    out << failure.reward << ' ' << failure.item + first_item << ' '
        << static_cast<int>(failure.result) << ' ';
    put_text(out, failure.message);
  }
  return out.str();
}
void read_failures(const std::string& bytes, std::vector<RewardFailure>& failures) {
  std::istringstream in(bytes);
  RewardFailure failure;
  for (int result = 0; in >> failure.reward >> failure.item >> result;) {
    failure.result = static_cast<RewardResult>(result);
    failure.message = take_text(in);
    failures.push_back(failure);
  }
}

std::vector<double> without_nan(const std::vector<double>& values) {
  std::vector<double> numbers;
  for (const double value : values) {
    if (!std::isnan(value)) numbers.push_back(value);
  }
  return numbers;
}

struct Spread {
  double mean = 0.0, minimum = 0.0, maximum = 0.0, deviation = 0.0;
};

Spread spread_of(const std::vector<double>& values) {
  Spread s;
  if (values.empty()) return s;
  s.minimum = *std::min_element(values.begin(), values.end());
  s.maximum = *std::max_element(values.begin(), values.end());
  for (const double v : values) s.mean += v;
  s.mean /= static_cast<double>(values.size());
  for (const double v : values) s.deviation += (v - s.mean) * (v - s.mean);
  s.deviation =
      values.size() > 1 ? std::sqrt(s.deviation / static_cast<double>(values.size() - 1)) : 0.0;
  return s;
}

// Calls of a reward's process are counted by how long they took: in seconds, more than the entry
// before.
constexpr std::pair<const char*, double> kCallTimes[] = {
    {"to_1ms", 1e-3}, {"to_10ms", 1e-2}, {"to_100ms", 1e-1},
    {"to_1s", 1.0},   {"to_10s", 10.0},  {"longer", std::numeric_limits<double>::infinity()}};

// How long a reward took for the step, and calls of its process: half of them and all but a
// hundredth took no longer than p50 and p99; how many took how long.
void add_seconds(const ScoredItems& scores, std::size_t reward, const std::string& prefix,
                 std::vector<Metric>& metrics) {
  metrics.push_back({prefix + "/seconds/total", scores.seconds[reward]});
  std::vector<double> calls = scores.call_seconds[reward];
  if (calls.empty()) return;
  std::sort(calls.begin(), calls.end());
  const auto at = [&](double share) {
    return calls[static_cast<std::size_t>(share * static_cast<double>(calls.size() - 1))];
  };
  metrics.push_back({prefix + "/seconds/p50", at(0.5)});
  metrics.push_back({prefix + "/seconds/p99", at(0.99)});
  metrics.push_back({prefix + "/seconds/max", calls.back()});
  auto call = calls.cbegin();
  for (const auto& [name, most] : kCallTimes) {
    const auto end = std::upper_bound(call, calls.cend(), most);
    if (end != call)
      metrics.push_back({prefix + "/calls/" + name, static_cast<double>(end - call)});
    call = end;
  }
}

}  // namespace

ScaleRewards parse_scale_rewards(const std::string& text) {
  if (text == "group") return ScaleRewards::group;
  if (text == "batch") return ScaleRewards::batch;
  if (text == "none") return ScaleRewards::none;
  throw std::invalid_argument("scale_rewards: " + text);
}

LossType parse_loss_type(const std::string& text) {
  if (text == "grpo") return LossType::grpo;
  if (text == "bnpo") return LossType::bnpo;
  if (text == "dapo") return LossType::dapo;
  if (text == "dr_grpo") return LossType::dr_grpo;
  throw std::invalid_argument("loss_type: " + text);
}

struct GrpoTrainer::Rollout {
  std::vector<const Problem*> problems;  // [groups]
  std::vector<std::string> prompts;      // [groups]
  std::vector<TrainingGroup> groups;
  std::vector<std::string> texts;                          // [completions]
  std::vector<float> logprobs;                             // as sampled, flat
  std::vector<std::int64_t> begin{0};                      // [completions + 1] into logprobs
  std::vector<std::vector<std::uint16_t>> experts;         // [groups] of the completions
  std::vector<std::vector<std::uint16_t>> prompt_experts;  // [groups]
  std::vector<StopReason> stop_reasons;                    // [completions]
  std::vector<std::int64_t> lengths;                       // [completions]
  // Of a token: how likely the tokens were that top_k, top_p and min_p left. 1 without them.
  double kept_probability_sum = 0.0;
  double kept_probability_least = 1.0;
  ScoredItems scores;
  Advantages advantages;
  GenerationStatistics statistics;
  std::vector<Metric> learner_metrics;
  double rollout_seconds = 0.0, reward_seconds = 0.0, learn_seconds = 0.0;
};

struct GrpoTrainer::Batch {
  std::vector<TrainingGroup> groups;
  std::vector<float> logprobs;         // as sampled, flat
  std::vector<float> ref_logprobs;     // of the reference; empty without one
  std::vector<std::int64_t> begin{0};  // [completions + 1] into logprobs
  std::vector<std::uint16_t> experts;  // in the learner's order: completions, then prompts
  std::vector<double> advantages;      // [completions]
  std::vector<unsigned char> kept;     // [completions] 0: left out of the loss; empty: all are in
};

// How the learner's log-probs and routing differ from the rollout's, over all batches.
struct GrpoTrainer::Comparison {
  double total = 0.0;    // of the differences of log-probs
  double largest = 0.0;  // of them
  std::int64_t disagreements = 0;
};

GrpoTrainer::GrpoTrainer(const Context& context, Collectives& ranks, TrainedPolicy& policy,
                         const PackedPolicy* reference, Engine& engine,
                         const std::vector<Problem>& problems,
                         const PromptTemplate& prompt_template, const WeightedRewards& rewards,
                         const GrpoConfig& config)
    : policy_(policy),
      reference_(reference),
      engine_(engine),
      problems_(problems),
      prompt_template_(prompt_template),
      rewards_(rewards),
      config_(config),
      order_(problems.size(), static_cast<std::uint64_t>(config.seed)),
      parallel_(context, ranks, policy, {.exact = config.exact_ranks}),
      learner_(context, policy.packed(),
               {.temperature = config.temperature,
                .micro_batch_tokens = config.micro_batch_tokens,
                .record_experts = true}),
      loss_config_{.loss_type = parse_loss_type(config.loss_type),
                   .epsilon = config.epsilon,
                   .epsilon_high = config.upper_epsilon(),
                   .beta = config.beta,
                   .importance_sampling_level = config.importance_sampling_level == "sequence"
                                                    ? ImportanceSamplingLevel::sequence
                                                    : ImportanceSamplingLevel::token,
                   .bias_corrected_kl = config.use_bias_correction_kl} {
  if (reference_ != nullptr) {
    reference_learner_ =
        std::make_unique<Learner>(context, *reference_,
                                  Learner::Config{.temperature = config.temperature,
                                                  .micro_batch_tokens = config.micro_batch_tokens});
  }
}

GrpoStep GrpoTrainer::step(std::int64_t step, double learning_rate, bool keep_completions) {
  const auto start = Clock::now();
  Rollout rollout = roll_out(step);
  score(rollout);
  learn(rollout, learning_rate);
  GrpoStep result;
  result.notes = notes_of(rollout, step);
  result.metrics = metrics_of(rollout);
  result.metrics.push_back({"learning_rate", learning_rate});
  result.metrics.push_back({"num_tokens", static_cast<double>(num_tokens_)});
  result.metrics.push_back({"step_time", seconds_since(start)});
  if (keep_completions) result.completions = records_of(rollout);
  return result;
}

// The token's probability is its probability among the tokens left times theirs.
void GrpoTrainer::add_kept_probability(const Completion& completion, Rollout& rollout) {
  for (std::size_t t = 0; t < completion.sampling_logprobs.size(); ++t) {
    const double kept = std::exp(static_cast<double>(completion.logprobs[t]) -
                                 static_cast<double>(completion.sampling_logprobs[t]));
    rollout.kept_probability_sum += kept;
    rollout.kept_probability_least = std::min(rollout.kept_probability_least, kept);
  }
}

GrpoTrainer::Rollout GrpoTrainer::roll_out(std::int64_t step) {
  const auto start = Clock::now();
  Rollout rollout;
  std::vector<GenerateRequest> requests;
  for (std::int64_t i = 0; i < config_.num_prompts_per_step; ++i) {
    const auto position = static_cast<std::uint64_t>((step - 1) * config_.num_prompts_per_step + i);
    const Problem& problem = problems_[order_.at(position)];
    rollout.problems.push_back(&problem);
    rollout.prompts.push_back(prompt_template_.render(problem));
    requests.push_back({.prompt = policy_.tokenizer().encode(rollout.prompts.back()),
                        .num_generations = config_.num_generations,
                        .step = static_cast<std::uint32_t>(step),
                        .problem = static_cast<std::uint32_t>(i)});
  }
  const std::vector<Group> groups =
      engine_.generate(requests, {.temperature = config_.temperature,
                                  .max_new_tokens = config_.max_completion_length,
                                  .seed = static_cast<std::uint64_t>(config_.seed),
                                  .stream = kRolloutStream,
                                  .top_k = config_.top_k,
                                  .top_p = config_.top_p,
                                  .min_p = config_.min_p});
  rollout.statistics = engine_.statistics();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    auto& experts = rollout.experts.emplace_back();
    TrainingGroup& training = rollout.groups.emplace_back();
    training.prompt = requests[g].prompt;
    num_tokens_ += static_cast<std::int64_t>(training.prompt.size());
    for (const Completion& completion : groups[g].completions) {
      training.completions.push_back(completion.tokens);
      rollout.texts.push_back(policy_.tokenizer().decode(completion.tokens, true));
      rollout.logprobs.insert(rollout.logprobs.end(), completion.logprobs.begin(),
                              completion.logprobs.end());
      rollout.begin.push_back(static_cast<std::int64_t>(rollout.logprobs.size()));
      experts.insert(experts.end(), completion.experts.begin(), completion.experts.end());
      rollout.stop_reasons.push_back(completion.stop_reason);
      rollout.lengths.push_back(static_cast<std::int64_t>(completion.tokens.size()));
      num_tokens_ += rollout.lengths.back();
      add_kept_probability(completion, rollout);
    }
    rollout.prompt_experts.push_back(groups[g].prompt_experts);
  }
  rollout.rollout_seconds = seconds_since(start);
  return rollout;
}

// Every rank scores the completions of its share of the groups.
void GrpoTrainer::score(Rollout& rollout) {
  const auto start = Clock::now();
  Collectives& ranks = parallel_.ranks();
  const Share own = ranks.share(rollout.groups.size(), ranks.rank());
  const std::size_t first = own.begin * static_cast<std::size_t>(config_.num_generations);
  std::string error;
  try {
    rollout.scores = rewards_.score(items_of(rollout, own));
  } catch (const RewardError& caught) {
    const std::size_t completion = first + caught.item();
    error = write_error(caught, completion, place_of(rollout, completion));
  }
  share_error(error);
  share_scores(rollout.scores, first);
  check_some_scored(rollout);
  count_failed_steps(rollout);
  const ScoredItems& scores = rollout.scores;
  rollout.advantages = config_.multi_objective_aggregation == "normalize_then_sum"
                           ? decoupled_advantages(scores.by_reward, rewards_.weights(),
                                                  scores.total, config_.num_generations)
                           : group_advantages(scores.total, config_.num_generations,
                                              parse_scale_rewards(config_.scale_rewards));
  rollout.reward_seconds = seconds_since(start);
}

std::vector<RewardItem> GrpoTrainer::items_of(const Rollout& rollout, const Share& groups) const {
  const auto G = static_cast<std::size_t>(config_.num_generations);
  std::vector<RewardItem> items;
  for (std::size_t i = groups.begin * G; i < groups.end * G; ++i) {
    items.push_back({.prompt = rollout.prompts[i / G],
                     .completion = rollout.texts[i],
                     .reference = rollout.problems[i / G]->answer,
                     .columns_json = rollout.problems[i / G]->columns_json,
                     .num_tokens = rollout.lengths[i],
                     .max_tokens = config_.max_completion_length,
                     .finish_reason = rollout.stop_reasons[i] == StopReason::length
                                          ? FinishReason::length
                                          : FinishReason::stop,
                     .completion_ids = rollout.groups[i / G].completions[i % G]});
  }
  return items;
}

// Which completion that is, for a reader.
std::string GrpoTrainer::place_of(const Rollout& rollout, std::size_t completion) const {
  const auto G = static_cast<std::size_t>(config_.num_generations);
  return "problem " + rollout.problems[completion / G]->id + ", sample " +
         std::to_string(completion % G) + ", completion " + quoted_start(rollout.texts[completion]);
}

// What failed on one rank ends the step on all of them.
void GrpoTrainer::share_error(const std::string& own) const {
  for (const std::string& error : parallel_.ranks().gather(own)) {
    if (!error.empty()) throw read_error(error);
  }
}

// From the scores of this rank's items to those of all.
void GrpoTrainer::share_scores(ScoredItems& scores, std::size_t first_own) const {
  const auto gather = [&](std::vector<double>& values) {
    std::string all;
    for (const std::string& part : parallel_.ranks().gather(
             {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)}))
      all += part;
    values.resize(all.size() / sizeof(double));
    if (!all.empty()) std::memcpy(values.data(), all.data(), all.size());
  };
  if (parallel_.ranks().size() == 1) return;
  gather(scores.total);
  for (std::vector<double>& values : scores.by_reward) gather(values);
  for (std::vector<double>& values : scores.call_seconds) gather(values);
  const std::size_t rewards = scores.restarts.size();
  gather(scores.seconds);  // all ranks wait for the last
  for (std::size_t i = rewards; i < scores.seconds.size(); ++i)
    scores.seconds[i % rewards] = std::max(scores.seconds[i % rewards], scores.seconds[i]);
  scores.seconds.resize(rewards);
  std::vector<double> restarts(scores.restarts.begin(), scores.restarts.end());
  gather(restarts);
  for (std::size_t i = rewards; i < restarts.size(); ++i) restarts[i % rewards] += restarts[i];
  for (std::size_t r = 0; r < rewards; ++r)
    scores.restarts[r] = static_cast<std::int64_t>(restarts[r]);
  const std::string own = write_failures(scores.failures, first_own);
  scores.failures.clear();
  for (const std::string& part : parallel_.ranks().gather(own))
    read_failures(part, scores.failures);
}

// A reward that fails on all that it is given is broken: nothing would be learned.
void GrpoTrainer::check_some_scored(const Rollout& rollout) const {
  const ScoredItems& scores = rollout.scores;
  if (scores.failures.empty() || !without_nan(scores.total).empty()) return;
  const RewardFailure& first = scores.failures.front();
  throw RewardError(std::string(rewards_.names()[first.reward]), first.item,
                    {.result = first.result,
                     .message = first.message + "; no completion of the step has a reward"},
                    place_of(rollout, first.item));
}

// Where what fails gets 0 a step always has rewards, and a reward that fails on everything for
// several steps is broken just the same.
void GrpoTrainer::count_failed_steps(const Rollout& rollout) {
  const ScoredItems& scores = rollout.scores;
  failed_steps_.resize(rewards_.names().size(), 0);
  for (std::size_t r = 0; r < failed_steps_.size(); ++r) {
    const auto of_reward = [&](const RewardFailure& failure) { return failure.reward == r; };
    const auto first = std::find_if(scores.failures.begin(), scores.failures.end(), of_reward);
    const auto count = std::count_if(scores.failures.begin(), scores.failures.end(), of_reward);
    failed_steps_[r] = count == std::ssize(rollout.texts) ? failed_steps_[r] + 1 : 0;
    if (failed_steps_[r] < kMostFailedSteps) continue;
    throw RewardError(
        std::string(rewards_.names()[r]), first->item,
        {.result = first->result,
         .message = first->message + "; as on every one of the " + std::to_string(count) +
                    " completions of " + std::to_string(kMostFailedSteps) + " steps in a row"},
        place_of(rollout, first->item));
  }
}

// A line for every way in which a reward failed for the first time.
std::vector<std::string> GrpoTrainer::notes_of(const Rollout& rollout, std::int64_t step) {
  const std::vector<RewardFailure>& failures = rollout.scores.failures;
  std::vector<std::string> notes;
  for (const RewardFailure& failure : failures) {
    if (!noted_.insert({failure.reward, failure.result}).second) continue;
    const auto count = std::count_if(failures.begin(), failures.end(), [&](const auto& other) {
      return other.reward == failure.reward && other.result == failure.result;
    });
    notes.push_back(
        "reward " + std::string(rewards_.names()[failure.reward]) + ": " +
        std::string(result_name(failure.result)) + " on " + std::to_string(count) + " of " +
        std::to_string(rollout.texts.size()) + " completions of step " + std::to_string(step) +
        (rewards_.on_error().action == OnRewardError::score
             ? ", which get " + reward_error_policy_name(rewards_.on_error()) + " from it"
             : std::string(", which are left out")) +
        "; the first: " + place_of(rollout, failure.item) + ": " + failure.message);
  }
  return notes;
}

// 0 for completions that the loss leaves out; empty when it takes all.
std::vector<unsigned char> GrpoTrainer::kept_completions(const Rollout& rollout) const {
  std::vector<unsigned char> kept;
  for (std::size_t i = 0; i < rollout.texts.size(); ++i) {
    const bool masked =
        config_.mask_truncated_completions && rollout.stop_reasons[i] == StopReason::length;
    kept.push_back(!masked && !std::isnan(rollout.scores.total[i]));
  }
  if (std::count(kept.begin(), kept.end(), 0) == 0) kept.clear();
  return kept;
}

std::vector<std::int64_t> GrpoTrainer::tokens_of_groups(const Rollout& rollout) const {
  std::vector<std::int64_t> tokens;
  for (const TrainingGroup& group : rollout.groups) {
    tokens.push_back(static_cast<std::int64_t>(group.prompt.size()));
    for (const auto& completion : group.completions)
      tokens.back() += static_cast<std::int64_t>(completion.size());
  }
  return tokens;
}

GrpoTrainer::Batch GrpoTrainer::batch_of(const Rollout& rollout, const TrainingUnit& unit) const {
  const auto G = static_cast<std::size_t>(config_.num_generations);
  const std::vector<unsigned char> kept = kept_completions(rollout);
  Batch batch;
  for (const std::size_t g : unit.groups) {
    batch.groups.push_back(rollout.groups[g]);
    batch.experts.insert(batch.experts.end(), rollout.experts[g].begin(), rollout.experts[g].end());
    batch.logprobs.insert(batch.logprobs.end(), rollout.logprobs.begin() + rollout.begin[g * G],
                          rollout.logprobs.begin() + rollout.begin[(g + 1) * G]);
    for (std::size_t i = g * G; i < (g + 1) * G; ++i) {
      batch.begin.push_back(batch.begin.back() + rollout.lengths[i]);
      batch.advantages.push_back(rollout.advantages.advantages[i]);
      if (!kept.empty()) batch.kept.push_back(kept[i]);
    }
  }
  for (const std::size_t g : unit.groups) {
    batch.experts.insert(batch.experts.end(), rollout.prompt_experts[g].begin(),
                         rollout.prompt_experts[g].end());
  }
  if (reference_learner_) batch.ref_logprobs = reference_learner_->evaluate(batch.groups).logprobs;
  return batch;
}

ChunkLoss GrpoTrainer::loss_of(const Batch& batch, const LossNormalizer& normalizer) const {
  return [this, &batch, normalizer](const ChunkOfCompletions& chunk) {
    const auto first = static_cast<std::size_t>(chunk.first);
    const std::size_t count = chunk.offsets.size() - 1;
    const auto at = static_cast<std::size_t>(batch.begin[first]);
    const std::size_t tokens = chunk.logprobs.size();
    const std::span<const float> ref_logprobs(batch.ref_logprobs);
    const std::span<const unsigned char> kept(batch.kept);
    return grpo_loss(
        {.logprobs = chunk.logprobs,
         .old_logprobs = std::span(batch.logprobs).subspan(at, tokens),
         .ref_logprobs = ref_logprobs.empty() ? ref_logprobs : ref_logprobs.subspan(at, tokens),
         .offsets = chunk.offsets,
         .advantages = std::span(batch.advantages).subspan(first, count),
         .sequence_mask = kept.empty() ? kept : kept.subspan(first, count),
         .normalizer = normalizer},
        loss_config_);
  };
}

void GrpoTrainer::learn(Rollout& rollout, double learning_rate) {
  const auto start = Clock::now();
  const std::vector<unsigned char> kept = kept_completions(rollout);
  std::int64_t tokens_kept = 0;
  for (std::size_t i = 0; i < rollout.lengths.size(); ++i) {
    if (kept.empty() || kept[i] != 0) tokens_kept += rollout.lengths[i];
  }
  // What has no reward is in no mean; what is only too long to be trained on counts, as in TRL.
  const std::size_t rewarded = without_nan(rollout.scores.total).size();
  const LossNormalizer normalizer{
      .num_sequences = std::max<std::int64_t>(1, static_cast<std::int64_t>(rewarded)),
      .num_tokens = tokens_kept,
      .max_completion_length = config_.max_completion_length};
  const std::vector<TrainingUnit> units = parallel_.deal(tokens_of_groups(rollout));
  std::vector<Batch> batches;
  for (const TrainingUnit& unit : units) batches.push_back(batch_of(rollout, unit));
  StepSums sums;
  Comparison comparison;
  double norm = 0.0;
  for (std::int64_t iteration = 0; iteration < config_.num_iterations; ++iteration) {
    auto batch = batches.begin();
    sums = parallel_.gradient(
        units, rollout.groups.size(), [&](const TrainingUnit&, std::span<float> gradients) {
          BatchForward forward =
              learner_.train(batch->groups, loss_of(*batch, normalizer), gradients);
          if (iteration == 0) compare_with_rollout(*batch, forward, comparison);
          ++batch;
          return forward;
        });
    norm = policy_.update(learning_rate, adamw_of(config_));
    parallel_.check_same(norm, "gradient's norm");
    if (config_.router_bias_update_speed > 0.0) {
      policy_.balance_experts(sums.expert_counts, config_.router_bias_update_speed);
    }
  }
  auto& metrics = rollout.learner_metrics;
  comparison = over_ranks(comparison);
  metrics.push_back({"sampling/sampling_logp_difference/mean",
                     comparison.total / static_cast<double>(rollout.logprobs.size())});
  metrics.push_back({"sampling/sampling_logp_difference/max", comparison.largest});
  metrics.push_back({"routing_disagreements", static_cast<double>(comparison.disagreements)});
  metrics.push_back({"loss", sums.loss.loss});
  metrics.push_back({"grad_norm", norm});
  metrics.push_back({"entropy", sums.entropy_sum / static_cast<double>(rollout.logprobs.size())});
  if (reference_learner_) metrics.push_back({"kl", sums.loss.kl_mean()});
  metrics.push_back({"clip_ratio/low_mean", sums.loss.clip_ratio_low_mean()});
  metrics.push_back({"clip_ratio/low_min", sums.loss.clip_ratio_low_min()});
  metrics.push_back({"clip_ratio/high_mean", sums.loss.clip_ratio_high_mean()});
  metrics.push_back({"clip_ratio/high_max", sums.loss.clip_ratio_high_max()});
  metrics.push_back({"clip_ratio/region_mean", sums.loss.clip_ratio_region_mean()});
  rollout.learn_seconds = seconds_since(start);
}

GrpoTrainer::Comparison GrpoTrainer::over_ranks(const Comparison& own) const {
  static_assert(std::is_trivially_copyable_v<Comparison>);
  Comparison all;
  for (const std::string& bytes :
       parallel_.ranks().gather({reinterpret_cast<const char*>(&own), sizeof own})) {
    Comparison part;
    std::memcpy(&part, bytes.data(), sizeof part);
    all.total += part.total;
    all.largest = std::max(all.largest, part.largest);
    all.disagreements += part.disagreements;
  }
  return all;
}

void GrpoTrainer::compare_with_rollout(const Batch& batch, const BatchForward& forward,
                                       Comparison& comparison) const {
  double largest = 0.0;
  std::int64_t different = 0;
  for (std::size_t i = 0; i < batch.logprobs.size(); ++i) {
    const double difference =
        std::abs(static_cast<double>(forward.logprobs[i]) - static_cast<double>(batch.logprobs[i]));
    largest = std::max(largest, difference);
    comparison.total += difference;
    different += std::memcmp(&forward.logprobs[i], &batch.logprobs[i], sizeof(float)) != 0 ? 1 : 0;
  }
  comparison.largest = std::max(comparison.largest, largest);
  std::int64_t disagreements = 0;
  if (forward.experts.size() != batch.experts.size()) {
    throw std::runtime_error("the learner routed " + std::to_string(forward.experts.size()) +
                             " slots, the rollout reports " + std::to_string(batch.experts.size()));
  }
  for (std::size_t i = 0; i < forward.experts.size(); ++i)
    disagreements += forward.experts[i] != batch.experts[i];
  comparison.disagreements += disagreements;
  if ((different == 0 && disagreements == 0) || config_.allow_mixed_numerics) return;
  throw std::runtime_error(
      "on-policy step: " + std::to_string(different) + " of " +
      std::to_string(batch.logprobs.size()) +
      " log-probs of the learner differ from the rollout's (largest difference " +
      std::to_string(largest) + "), " + std::to_string(disagreements) +
      " routing decisions differ; the promise of one numerics is broken");
}

std::vector<Metric> GrpoTrainer::metrics_of(const Rollout& rollout) const {
  std::vector<Metric> metrics{{"reward", rollout.advantages.reward_mean},
                              {"reward_std", rollout.advantages.reward_std},
                              {"frac_reward_zero_std", rollout.advantages.frac_reward_zero_std}};
  const auto names = rewards_.names();
  for (std::size_t r = 0; r < names.size(); ++r) {
    const Spread spread = spread_of(without_nan(rollout.scores.by_reward[r]));
    const std::string prefix = "rewards/" + std::string(names[r]);
    metrics.push_back({prefix + "/mean", spread.mean});
    metrics.push_back({prefix + "/std", spread.deviation});
    add_seconds(rollout.scores, r, prefix, metrics);
    if (const auto isolation = rewards_.reward(r).isolation())
      metrics.push_back({prefix + "/isolation", static_cast<double>(*isolation)});
    if (const std::int64_t restarts = rollout.scores.restarts[r]; restarts > 0)
      metrics.push_back({prefix + "/restarts", static_cast<double>(restarts)});
    for (const RewardResult result : kRewardFailures) {
      const auto& failures = rollout.scores.failures;
      const auto count = std::count_if(failures.begin(), failures.end(), [&](const auto& failure) {
        return failure.reward == r && failure.result == result;
      });
      if (count == 0) continue;
      metrics.push_back(
          {prefix + "/failures/" + std::string(result_name(result)), static_cast<double>(count)});
    }
  }
  std::vector<double> lengths;
  std::vector<double> terminated;
  for (std::size_t i = 0; i < rollout.lengths.size(); ++i) {
    lengths.push_back(static_cast<double>(rollout.lengths[i]));
    if (rollout.stop_reasons[i] == StopReason::end_of_sequence)
      terminated.push_back(lengths.back());
  }
  const Spread all = spread_of(lengths);
  const Spread ended = spread_of(terminated);
  metrics.push_back({"completions/mean_length", all.mean});
  metrics.push_back({"completions/min_length", all.minimum});
  metrics.push_back({"completions/max_length", all.maximum});
  metrics.push_back({"completions/mean_terminated_length", ended.mean});
  metrics.push_back({"completions/min_terminated_length", ended.minimum});
  metrics.push_back({"completions/max_terminated_length", ended.maximum});
  metrics.push_back({"completions/clipped_ratio",
                     1.0 - static_cast<double>(terminated.size()) /
                               static_cast<double>(std::max<std::size_t>(1, lengths.size()))});
  if (rollout.kept_probability_sum > 0.0) {
    metrics.push_back(
        {"sampling/kept_probability/mean",
         rollout.kept_probability_sum / static_cast<double>(rollout.logprobs.size())});
    metrics.push_back({"sampling/kept_probability/min", rollout.kept_probability_least});
  }
  metrics.insert(metrics.end(), rollout.learner_metrics.begin(), rollout.learner_metrics.end());
  metrics.push_back({"sampling/preemptions", static_cast<double>(rollout.statistics.preemptions)});
  metrics.push_back(
      {"sampling/recomputed_tokens", static_cast<double>(rollout.statistics.recomputed_tokens)});
  metrics.push_back({"time/rollout", rollout.rollout_seconds});
  metrics.push_back({"time/reward", rollout.reward_seconds});
  metrics.push_back({"time/learn", rollout.learn_seconds});
  return metrics;
}

std::vector<CompletionRecord> GrpoTrainer::records_of(const Rollout& rollout) const {
  std::vector<CompletionRecord> records;
  const auto names = rewards_.names();
  for (std::size_t i = 0; i < rollout.texts.size(); ++i) {
    const std::size_t g = i / static_cast<std::size_t>(config_.num_generations);
    CompletionRecord record{.prompt = rollout.prompts[g],
                            .completion = rollout.texts[i],
                            .reference = rollout.problems[g]->answer,
                            .rewards = {},
                            .reward = rollout.scores.total[i],
                            .advantage = rollout.advantages.advantages[i],
                            .num_tokens = rollout.lengths[i],
                            .finish_reason = rollout.stop_reasons[i] == StopReason::length
                                                 ? FinishReason::length
                                                 : FinishReason::stop};
    for (std::size_t r = 0; r < names.size(); ++r) {
      record.rewards.push_back({std::string(names[r]), rollout.scores.by_reward[r][i]});
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace zeroth
