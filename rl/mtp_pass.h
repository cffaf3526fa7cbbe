// The loss of multi-token prediction beside a training pass, and its gradient: the learner
// (learner.h) shows it each of its batches, forward and backward.
//
//   loss = weight / (D N) * sum over the D modules of sum over tokens of -log p
//
// N is the number of completion tokens of the whole batch: the modules' share of the objective is
// the mean of their losses times the weight (DeepSeek-V3, arXiv:2412.19437, eq. 24 and 25, where
// every module's loss, too, is divided by the number of tokens of the sequence and not by that of
// its targets). Only tokens of completions are predicted, from positions of the prompt as well.
//
// What a module shares with the model, or with another module, has gradients from each. Each
// module's are a chain of their own, added when the pass ends: how a batch is cut does not show.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/head.h"
#include "policy/mtp.h"

namespace zeroth {

/// Some consecutive positions of one sequence, as a batch holds them.
struct MtpSequence {
  std::span<const std::int32_t> prompt, completion;
  std::int64_t begin = 0, end = 0;  // positions, counted over both
};

class MtpPass {
 public:
  MtpPass(const Context& context, const PackedPolicy& policy);

  /// Before a pass: room in the caches, no gradient yet. `token_weight` is weight / (D N).
  void begin(std::int64_t rows, std::int64_t prompt_rows, double token_weight);

  /// The batches of a pass: all prompts, forward first and backward last, and a chunk of
  /// completions. What is kept of a chunk goes when the next comes.
  enum class Part { prompts, chunk };

  /// `hidden` is the model's, [T, D]; batch and hidden stay until backward.
  void forward(Part part, const ForwardBatch& batch, std::span<const MtpSequence> sequences,
               const float* hidden);

  /// Adds to d loss / d hidden.
  void backward(Part part, float* dhidden);

  /// Adds the gradients of the pass. Returns the sum of -log p over its tokens and modules.
  double end(std::span<float> gradients) const;

 private:
  struct Depth {
    explicit Depth(const PackedPolicy& module)
        : policy(module), cache(module.config()), dcache(module.config()) {}
    const PackedPolicy& policy;
    Cache cache, dcache;
    std::vector<float> gradients;  // laid out as Weights
    double sum = 0.0;              // of -log p, token by token
  };
  struct DepthPart {
    MtpActivations activations;
    std::vector<std::int32_t> next;
    HeadTargets targets;
  };
  struct Kept {
    const ForwardBatch* batch = nullptr;
    const float* hidden = nullptr;
    std::vector<DepthPart> depths;
  };

  MtpInput input(const Kept& kept, std::size_t depth) const;
  static void lay_out(std::span<const MtpSequence> sequences, std::int64_t ahead, DepthPart& part);

  const Context& context_;
  const PackedPolicy& policy_;
  std::vector<Depth> depths_;
  Kept kept_[2];
  HeadBuffers buffers_;
  BackwardScratch scratch_;
  Buffer between_;  // [T, D] what a module gives to the one before
  double token_weight_ = 0.0;
};

}  // namespace zeroth
