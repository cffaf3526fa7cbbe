// The training pass over groups: log-probs of every completion token, and from the loss's
// derivative the gradient.
//
// The prompt of a group is computed once. Order of work, and of every gradient sum: prompts
// forward; completions in sample order, in chunks of at most micro_batch_tokens; then the prompts
// backward, which receive what flowed into their cache rows from all of their completions. A
// sequence is never cut, each one's gradient is a chain of its own, and the chains are added in
// that order: the size of a chunk and the number of threads cannot show. Where lm_head and the
// embedding are one tensor, the embedding's sum is a chain of its own that is added last.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "policy/decoder.h"
#include "policy/head.h"
#include "rl/losses/loss.h"
#include "rl/mtp_pass.h"

namespace zeroth {

/// One prompt and its completions. The completions' ids end with the end-of-sequence token unless
/// they were cut off.
struct TrainingGroup {
  std::vector<std::int32_t> prompt;                    // at least one token
  std::vector<std::vector<std::int32_t>> completions;  // each at least one token
};

/// A run of consecutive completions, counted over all groups of the batch.
struct ChunkOfCompletions {
  std::int64_t first = 0;                 // index of the first completion
  std::span<const float> logprobs;        // of all their tokens
  std::span<const std::int64_t> offsets;  // [N + 1] into logprobs
};

/// Maps a chunk's log-probs to the loss and its derivative.
using ChunkLoss = std::function<LossOutputs(const ChunkOfCompletions&)>;

/// Log-probs and routing of a batch; the flat token order is that of the completions.
struct BatchForward {
  std::vector<float> logprobs;                           // [tokens]
  std::vector<std::int64_t> offsets;                     // [completions + 1]
  double entropy_sum = 0.0;                              // over completion tokens, nats
  LossSums loss;                                         // when trained
  std::vector<std::vector<std::int64_t>> expert_counts;  // [moe layers][E] slots routed
  std::vector<std::uint16_t>
      experts;  // [fed completion tokens][moe layers][K] in completion order, then the prompts'
  std::int64_t forward_tokens = 0;  // tokens fed, prompts once a group
};

/// A teacher whose next-token distributions are learnt beside the tokens (rl/losses/distill.h).
struct TeacherTerm {
  const PackedPolicy* policy = nullptr;  // of the student's vocabulary, its prompts not expanded
  double token_weight = 0.0;  // of a completion token's divergence in the loss of the whole batch
};

/// The modules behind the policy (PackedPolicy::mtp) trained beside it, where the weight is not 0.
struct MtpTerm {
  double token_weight = 0.0;  // of a token's -log p by one module in the loss of the whole batch
};

class Learner {
 public:
  struct Config {
    double temperature = 1.0;                // divides the logits, as in sampling
    std::int64_t micro_batch_tokens = 1024;  // completion tokens whose activations are kept at once
    bool record_experts = false;
  };

  Learner(const Context& context, const PackedPolicy& policy, Config config);

  /// Log-probs only. std::invalid_argument for an empty prompt or completion and for a token or
  /// position outside the model's range.
  BatchForward evaluate(std::span<const TrainingGroup> groups);

  /// Log-probs, the loss, and its gradient added to `gradients` (flat, laid out as Weights). With a
  /// teacher its divergence is added to loss.kl, weighted to loss.loss; std::invalid_argument for
  /// another vocabulary, expanded prompts or a temperature that is not 1. With MTP modules their
  /// -log p is added to loss.mtp, weighted to loss.loss; std::invalid_argument where there are none
  /// or a group has not one completion.
  BatchForward train(std::span<const TrainingGroup> groups, const ChunkLoss& loss,
                     std::span<float> gradients, const TeacherTerm& teacher = {},
                     const MtpTerm& mtp = {});

 private:
  struct Completion {
    const std::vector<std::int32_t>* tokens;
    std::size_t group;
    std::int64_t fed() const { return static_cast<std::int64_t>(tokens->size()) - 1; }
  };
  struct Chunk {
    std::size_t first, last;  // completions [first, last)
  };

  BatchForward run(std::span<const TrainingGroup> groups, const ChunkLoss* loss, float* gradients);
  void lay_out(std::span<const TrainingGroup> groups, BatchForward& out);
  void check_last(std::int32_t token) const;
  std::vector<Chunk> chunks() const;
  void forward_prompts(std::span<const TrainingGroup> groups, bool keep, BatchForward& out);
  void run_chunk(const Chunk& chunk, std::span<const TrainingGroup> groups, const ChunkLoss* loss,
                 float* gradients, BatchForward& out);
  void lay_out_chunk(const Chunk& chunk, std::span<const TrainingGroup> groups);
  void backward_prompts(float* gradients, BatchForward& out);
  void set_teacher(const TeacherTerm& teacher);
  void set_mtp(const MtpTerm& term, std::span<const TrainingGroup> groups);
  std::vector<MtpSequence> mtp_sequences(std::span<const TrainingGroup> groups, std::size_t first,
                                         std::size_t last, MtpPass::Part part) const;
  LogitsLoss teacher_loss(const Activations& activations, const HeadTargets& targets,
                          BatchForward& out);
  void begin_embedding_gradient(float* gradients);
  void end_embedding_gradient(float* gradients) const;
  void note_experts(const Activations& activations, std::int64_t tokens,
                    std::vector<std::uint16_t>& record, BatchForward& out) const;

  const Context& context_;
  const PackedPolicy& policy_;
  Config config_;

  std::vector<Completion> completions_;
  std::vector<std::int64_t> prompt_rows_;  // [groups] first cache row of each prompt
  std::int64_t first_completion_row_ = 0;  // cache row of a chunk's first token
  Cache cache_;
  Cache dcache_;
  Activations prompt_activations_{true};
  Activations chunk_activations_{true};
  ForwardBatch prompt_batch_;
  ForwardBatch chunk_batch_;
  HeadTargets prompt_targets_;
  HeadTargets chunk_targets_;
  HeadBuffers head_buffers_;
  BackwardScratch scratch_;
  TeacherTerm teacher_;  // of this pass
  std::unique_ptr<Cache> teacher_cache_;
  Activations teacher_prompt_activations_{false};
  Activations teacher_chunk_activations_{false};
  HeadBuffers teacher_buffers_;
  MtpTerm mtp_term_;                    // of this pass
  std::unique_ptr<MtpPass> mtp_;        // where modules were ever trained
  std::vector<float> first_logprobs_;   // [completions] of each one's first token
  std::vector<float> first_dlogprobs_;  // [completions]
  std::vector<std::uint16_t> prompt_experts_;
  std::vector<float> tied_embedding_;    // [V, D] where lm_head is the embedding, else empty
  float* embedding_gradient_ = nullptr;  // where this pass adds the embedding's gradient
};

}  // namespace zeroth
