#include "rl/learner.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "rl/losses/distill.h"

namespace zeroth {

Learner::Learner(const Context& context, const PackedPolicy& policy, Config config)
    : context_(context),
      policy_(policy),
      config_(config),
      cache_(policy.config()),
      dcache_(policy.config()) {}

BatchForward Learner::evaluate(std::span<const TrainingGroup> groups) {
  teacher_ = {};
  mtp_term_ = {};
  return run(groups, nullptr, nullptr);
}

BatchForward Learner::train(std::span<const TrainingGroup> groups, const ChunkLoss& loss,
                            std::span<float> gradients, const TeacherTerm& teacher,
                            const MtpTerm& mtp) {
  if (gradients.size() != policy_.weights().values().size()) {
    throw std::invalid_argument("Learner::train: gradients are not laid out as the weights");
  }
  set_teacher(teacher);
  set_mtp(mtp, groups);
  return run(groups, &loss, gradients.data());
}

void Learner::set_mtp(const MtpTerm& term, std::span<const TrainingGroup> groups) {
  mtp_term_ = term;
  if (term.token_weight == 0.0) return;
  if (policy_.mtp().empty()) throw std::invalid_argument("Learner: a policy without MTP modules");
  for (const TrainingGroup& group : groups) {
    if (group.completions.size() != 1)
      throw std::invalid_argument("Learner: MTP modules see one completion a prompt");
  }
  if (!mtp_) mtp_ = std::make_unique<MtpPass>(context_, policy_);
}

// The prompts [first, last), or what is fed of their completions.
std::vector<MtpSequence> Learner::mtp_sequences(std::span<const TrainingGroup> groups,
                                                std::size_t first, std::size_t last,
                                                MtpPass::Part part) const {
  std::vector<MtpSequence> sequences;
  for (std::size_t i = first; i < last; ++i) {
    const auto prompt = static_cast<std::int64_t>(groups[i].prompt.size());
    const bool completes = part == MtpPass::Part::chunk;
    sequences.push_back({.prompt = groups[i].prompt,
                         .completion = groups[i].completions[0],
                         .begin = completes ? prompt : 0,
                         .end = completes ? prompt + completions_[i].fed() : prompt});
  }
  return sequences;
}

void Learner::set_teacher(const TeacherTerm& teacher) {
  const bool other = teacher.policy != teacher_.policy;
  teacher_ = teacher;
  if (teacher.policy == nullptr) return;
  if (teacher.policy->config().vocab_size != policy_.config().vocab_size)
    throw std::invalid_argument("Learner: the teacher has another vocabulary");
  if (expands_prompts(teacher.policy->config()) || expands_prompts(policy_.config()))
    throw std::invalid_argument("Learner: teacher and student have to meet prompts absorbed");
  if (config_.temperature != 1.0)
    throw std::invalid_argument("Learner: a teacher is learnt at temperature 1");
  if (other || !teacher_cache_) teacher_cache_ = std::make_unique<Cache>(teacher.policy->config());
}

// Asks the teacher, whose hidden states are in `activations`, for its logits of the same rows.
LogitsLoss Learner::teacher_loss(const Activations& activations, const HeadTargets& targets,
                                 BatchForward& out) {
  if (teacher_.policy == nullptr) return {};
  return [&](std::int64_t begin, std::int64_t end, const float* logits, float* dlogits) {
    const auto first = static_cast<std::size_t>(begin);
    const auto rows = static_cast<std::size_t>(end - begin);
    const std::size_t size = rows * static_cast<std::size_t>(policy_.config().vocab_size);
    const float* of_teacher =
        head_logits(context_, *teacher_.policy, activations.hidden.data(),
                    std::span(targets.rows).subspan(first, rows), teacher_buffers_);
    std::vector<double> weights(rows);
    std::vector<double> divergences(rows);
    const auto tokens = [&](std::size_t r) {  // that follow the row: a shared prompt has several
      return static_cast<double>(targets.target_offsets[first + r + 1] -
                                 targets.target_offsets[first + r]);
    };
    for (std::size_t r = 0; r < rows; ++r) weights[r] = tokens(r) * teacher_.token_weight;
    forward_kl(context_, {.student = {logits, size},
                          .teacher = {of_teacher, size},
                          .vocab_size = policy_.config().vocab_size,
                          .weights = weights,
                          .dlogits = {dlogits, size},
                          .divergences = divergences});
    for (std::size_t r = 0; r < rows; ++r) {
      out.loss.kl += tokens(r) * divergences[r];
      out.loss.loss += weights[r] * divergences[r];
    }
  };
}

BatchForward Learner::run(std::span<const TrainingGroup> groups, const ChunkLoss* loss,
                          float* gradients) {
  BatchForward out;
  lay_out(groups, out);
  if (completions_.empty()) return out;
  forward_prompts(groups, loss != nullptr, out);
  if (loss != nullptr) {
    dcache_.clear();
    begin_embedding_gradient(gradients);
  }
  for (const Chunk& chunk : chunks()) run_chunk(chunk, groups, loss, gradients, out);
  if (loss != nullptr) {
    backward_prompts(gradients, out);
    end_embedding_gradient(gradients);
  }
  if (mtp_term_.token_weight != 0.0) {
    out.loss.mtp = mtp_->end({gradients, policy_.weights().values().size()});
    out.loss.loss += mtp_term_.token_weight * out.loss.mtp;
  }
  out.experts.insert(out.experts.end(), prompt_experts_.begin(), prompt_experts_.end());
  return out;
}

// A tied tensor receives from lm_head and from the embedding. Added in turn, chunk by chunk, the
// two would be interleaved by the cut.
void Learner::begin_embedding_gradient(float* gradients) {
  const bool tied = policy_.config().tie_word_embeddings;
  const std::int64_t size = policy_.config().vocab_size * policy_.config().hidden_size;
  tied_embedding_.assign(tied ? static_cast<std::size_t>(size) : 0, 0.0F);
  embedding_gradient_ = tied ? tied_embedding_.data() : gradients + policy_.embedding();
}

void Learner::end_embedding_gradient(float* gradients) const {
  float* sum = gradients + policy_.embedding();
  for (const float value : tied_embedding_) *sum++ += value;
}

void Learner::lay_out(std::span<const TrainingGroup> groups, BatchForward& out) {
  completions_.clear();
  prompt_rows_.clear();
  prompt_experts_.clear();
  out.offsets.assign(1, 0);
  std::int64_t rows = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].prompt.empty()) throw std::invalid_argument("Learner: an empty prompt");
    prompt_rows_.push_back(rows);
    rows += static_cast<std::int64_t>(groups[g].prompt.size());
    for (const auto& tokens : groups[g].completions) {
      if (tokens.empty()) throw std::invalid_argument("Learner: an empty completion");
      check_last(tokens.back());
      completions_.push_back({&tokens, g});
      out.offsets.push_back(out.offsets.back() + static_cast<std::int64_t>(tokens.size()));
    }
  }
  std::int64_t largest_chunk = 0;
  for (const Chunk& chunk : chunks()) {
    std::int64_t tokens = 0;
    for (std::size_t i = chunk.first; i < chunk.last; ++i) tokens += completions_[i].fed();
    largest_chunk = std::max(largest_chunk, tokens);
    out.forward_tokens += tokens;
  }
  out.forward_tokens += rows;
  out.logprobs.resize(static_cast<std::size_t>(out.offsets.back()));
  for (const LayerConfig& layer : policy_.config().layers) {
    if (layer.ffn.kind == FfnKind::moe) {
      out.expert_counts.emplace_back(static_cast<std::size_t>(layer.ffn.num_experts), 0);
    }
  }
  first_completion_row_ = expands_prompts(policy_.config()) ? 0 : rows;
  cache_.resize(first_completion_row_ + largest_chunk, rows);
  dcache_.resize(first_completion_row_ + largest_chunk, rows);
  if (teacher_.policy != nullptr)
    teacher_cache_->resize(first_completion_row_ + largest_chunk, rows);
  if (mtp_term_.token_weight != 0.0)
    mtp_->begin(first_completion_row_ + largest_chunk, rows, mtp_term_.token_weight);
}

// The decoder checks the tokens it is fed; a completion's last one is a target only.
void Learner::check_last(std::int32_t token) const {
  if (token >= 0 && token < policy_.config().vocab_size) return;
  throw std::invalid_argument("Learner: token " + std::to_string(token) +
                              " is outside the vocabulary of " +
                              std::to_string(policy_.config().vocab_size));
}

std::vector<Learner::Chunk> Learner::chunks() const {
  std::vector<Chunk> out;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < completions_.size(); ++i) {
    if (out.empty() || tokens + completions_[i].fed() > config_.micro_batch_tokens) {
      out.push_back({i, i});
      tokens = 0;
    }
    out.back().last = i + 1;
    tokens += completions_[i].fed();
  }
  return out;
}

void Learner::note_experts(const Activations& activations, std::int64_t tokens,
                           std::vector<std::uint16_t>& record, BatchForward& out) const {
  for (std::size_t layer = 0; layer < activations.experts.size(); ++layer) {
    for (const std::int32_t e : activations.experts[layer])
      ++out.expert_counts[layer][static_cast<std::size_t>(e)];
  }
  if (!config_.record_experts || activations.experts.empty() || tokens == 0) return;
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (const auto& layer : activations.experts) {
      const std::size_t K = layer.size() / static_cast<std::size_t>(tokens);
      for (std::size_t k = 0; k < K; ++k) {
        record.push_back(static_cast<std::uint16_t>(layer[static_cast<std::size_t>(t) * K + k]));
      }
    }
  }
}

void Learner::forward_prompts(std::span<const TrainingGroup> groups, bool keep, BatchForward& out) {
  prompt_batch_.clear();
  prompt_targets_ = {};
  prompt_batch_.segments.push_back(0);
  prompt_targets_.segments.push_back(0);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto& prompt = groups[g].prompt;
    const auto n = static_cast<std::int64_t>(prompt.size());
    prompt_batch_.groups.push_back(
        {.first_member = static_cast<std::int64_t>(g), .num_members = 1});
    prompt_batch_.members.push_back({.first_query = prompt_rows_[g],
                                     .num_queries = n,
                                     .first_run = static_cast<std::int64_t>(g),
                                     .num_runs = 1});
    prompt_batch_.runs.push_back({.row = prompt_rows_[g], .count = n});
    for (std::int64_t i = 0; i < n; ++i) {
      prompt_batch_.tokens.push_back(prompt[static_cast<std::size_t>(i)]);
      prompt_batch_.positions.push_back(static_cast<std::int32_t>(i));
      prompt_batch_.cache_rows.push_back(prompt_rows_[g] + i);
    }
    prompt_batch_.segments.push_back(prompt_batch_.size());
    prompt_targets_.rows.push_back(prompt_rows_[g] + n - 1);
    prompt_targets_.target_offsets.push_back(
        static_cast<std::int64_t>(prompt_targets_.targets.size()));
    for (const auto& tokens : groups[g].completions)
      prompt_targets_.targets.push_back(tokens.front());
    prompt_targets_.segments.push_back(static_cast<std::int64_t>(g) + 1);
  }
  prompt_targets_.target_offsets.push_back(
      static_cast<std::int64_t>(prompt_targets_.targets.size()));
  prompt_activations_.keep_layers = keep;
  decoder_forward(context_, policy_, prompt_batch_, cache_, prompt_activations_);
  note_experts(prompt_activations_, prompt_batch_.size(), prompt_experts_, out);
  if (teacher_.policy != nullptr)
    decoder_forward(context_, *teacher_.policy, prompt_batch_, *teacher_cache_,
                    teacher_prompt_activations_);
  if (mtp_term_.token_weight != 0.0) {
    mtp_->forward(MtpPass::Part::prompts, prompt_batch_,
                  mtp_sequences(groups, 0, groups.size(), MtpPass::Part::prompts),
                  prompt_activations_.hidden.data());
  }
  first_logprobs_.resize(completions_.size());
  first_dlogprobs_.assign(completions_.size(), 0.0F);
  std::vector<float> entropies(groups.size());
  head_forward(context_, policy_, prompt_activations_.hidden.data(), prompt_targets_,
               config_.temperature, head_buffers_, first_logprobs_, entropies);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    out.entropy_sum +=
        static_cast<double>(entropies[g]) * static_cast<double>(groups[g].completions.size());
  }
}

void Learner::lay_out_chunk(const Chunk& chunk, std::span<const TrainingGroup> groups) {
  ForwardBatch& batch = chunk_batch_;
  batch.clear();
  batch.segments.push_back(0);
  chunk_targets_ = {};
  const std::int64_t first_row = first_completion_row_;
  for (std::size_t i = chunk.first; i < chunk.last; ++i) {
    const Completion& completion = completions_[i];
    const auto prompt_length = static_cast<std::int64_t>(groups[completion.group].prompt.size());
    if (i == chunk.first || completion.group != completions_[i - 1].group) {
      batch.groups.push_back({.first_run = static_cast<std::int64_t>(batch.runs.size()),
                              .num_runs = 1,
                              .prefix_length = prompt_length,
                              .first_member = static_cast<std::int64_t>(batch.members.size())});
      batch.runs.push_back({.row = prompt_rows_[completion.group], .count = prompt_length});
    }
    ++batch.groups.back().num_members;
    batch.members.push_back({.first_query = batch.size(),
                             .num_queries = completion.fed(),
                             .first_run = static_cast<std::int64_t>(batch.runs.size()),
                             .num_runs = 1});
    batch.runs.push_back({.row = first_row + batch.size(), .count = completion.fed()});
    for (std::int64_t j = 0; j < completion.fed(); ++j) {
      chunk_targets_.rows.push_back(batch.size());
      chunk_targets_.target_offsets.push_back(batch.size());
      chunk_targets_.targets.push_back((*completion.tokens)[static_cast<std::size_t>(j) + 1]);
      batch.cache_rows.push_back(first_row + batch.size());
      batch.positions.push_back(static_cast<std::int32_t>(prompt_length + j));
      batch.tokens.push_back((*completion.tokens)[static_cast<std::size_t>(j)]);
    }
    batch.segments.push_back(batch.size());
  }
  chunk_targets_.target_offsets.push_back(batch.size());
  chunk_targets_.segments = batch.segments;
}

void Learner::run_chunk(const Chunk& chunk, std::span<const TrainingGroup> groups,
                        const ChunkLoss* loss, float* gradients, BatchForward& out) {
  lay_out_chunk(chunk, groups);
  const std::int64_t fed = chunk_batch_.size();
  std::vector<float> fed_logprobs(static_cast<std::size_t>(fed));
  if (fed > 0) {
    chunk_activations_.keep_layers = loss != nullptr;
    decoder_forward(context_, policy_, chunk_batch_, cache_, chunk_activations_);
    note_experts(chunk_activations_, fed, out.experts, out);
    std::vector<float> entropies(static_cast<std::size_t>(fed));
    head_forward(context_, policy_, chunk_activations_.hidden.data(), chunk_targets_,
                 config_.temperature, head_buffers_, fed_logprobs, entropies);
    for (const float entropy : entropies) out.entropy_sum += static_cast<double>(entropy);
  }

  // A completion's log-probs: its first token's from the prompt, the others' from the chunk.
  const std::int64_t begin = out.offsets[chunk.first];
  std::vector<std::int64_t> offsets;
  for (std::size_t i = chunk.first; i <= chunk.last; ++i) offsets.push_back(out.offsets[i] - begin);
  float* logprobs = out.logprobs.data() + begin;
  std::size_t from = 0;
  for (std::size_t i = chunk.first; i < chunk.last; ++i) {
    float* to = logprobs + offsets[i - chunk.first];
    *to++ = first_logprobs_[i];
    for (std::int64_t j = 0; j < completions_[i].fed(); ++j) *to++ = fed_logprobs[from++];
  }
  if (loss == nullptr) return;

  const std::span<const float> values(logprobs, static_cast<std::size_t>(offsets.back()));
  const LossOutputs result = (*loss)(
      {.first = static_cast<std::int64_t>(chunk.first), .logprobs = values, .offsets = offsets});
  for (const LossSums& sums : result.sequence_sums) out.loss.add(sums);
  std::vector<float> dlogprobs;
  for (std::size_t i = chunk.first; i < chunk.last; ++i) {
    const auto at = static_cast<std::size_t>(offsets[i - chunk.first]);
    first_dlogprobs_[i] = result.dlogprobs[at];
    const float* rest = result.dlogprobs.data() + at + 1;
    dlogprobs.insert(dlogprobs.end(), rest, rest + completions_[i].fed());
  }
  if (fed == 0) return;
  if (teacher_.policy != nullptr)
    decoder_forward(context_, *teacher_.policy, chunk_batch_, *teacher_cache_,
                    teacher_chunk_activations_);
  head_backward(context_, policy_, chunk_activations_.hidden.data(), fed, chunk_targets_,
                config_.temperature, dlogprobs, head_buffers_,
                scratch_.dx.resize(fed * policy_.config().hidden_size), gradients,
                teacher_loss(teacher_chunk_activations_, chunk_targets_, out));
  if (mtp_term_.token_weight != 0.0) {
    mtp_->forward(MtpPass::Part::chunk, chunk_batch_,
                  mtp_sequences(groups, chunk.first, chunk.last, MtpPass::Part::chunk),
                  chunk_activations_.hidden.data());
    mtp_->backward(MtpPass::Part::chunk, scratch_.dx.data());
  }
  for (std::size_t layer = 0; layer < policy_.config().layers.size(); ++layer) {
    float* rows = dcache_.layer(layer) + first_completion_row_ * dcache_.width(layer);
    std::fill_n(rows, fed * dcache_.width(layer), 0.0F);
  }
  decoder_backward(context_, policy_, chunk_batch_, cache_, chunk_activations_, scratch_, dcache_,
                   gradients, embedding_gradient_);
}

void Learner::backward_prompts(float* gradients, BatchForward& out) {
  const std::int64_t rows = prompt_batch_.size();
  head_backward(context_, policy_, prompt_activations_.hidden.data(), rows, prompt_targets_,
                config_.temperature, first_dlogprobs_, head_buffers_,
                scratch_.dx.resize(rows * policy_.config().hidden_size), gradients,
                teacher_loss(teacher_prompt_activations_, prompt_targets_, out));
  if (mtp_term_.token_weight != 0.0) mtp_->backward(MtpPass::Part::prompts, scratch_.dx.data());
  decoder_backward(context_, policy_, prompt_batch_, cache_, prompt_activations_, scratch_, dcache_,
                   gradients, embedding_gradient_);
}

}  // namespace zeroth
