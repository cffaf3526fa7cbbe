// A policy version as a learner hands it to its workers: one safetensors file that says all that a
// sampler needs. Goal: a worker starts knowing nothing, so nothing of the model can be configured
// differently there. Non-goals: optimizer state, tokenizer (token ids travel).
//
//   __metadata__: "config.json" the model's configuration, "dtype" float32 or bfloat16,
//   "mla_prefix" absorbed or expanded
//   tensors: the master weights, F32, under their Hugging Face names
#pragma once

#include <filesystem>

#include "policy/packed_policy.h"

namespace zeroth {

/// Writes `directory`/model.safetensors.
void publish(const PackedPolicy& policy, const std::filesystem::path& directory);

/// The policy of a published file, ready to sample from.
class PublishedPolicy {
 public:
  /// Reads `directory`/model.safetensors. InputError naming file, tensor or key for what is
  /// missing, of another shape or not finite. Nothing is reserved that the file does not hold, but
  /// for rope tables of at most 1 GiB.
  explicit PublishedPolicy(const std::filesystem::path& directory);
  PublishedPolicy(const PublishedPolicy&) = delete;
  PublishedPolicy& operator=(const PublishedPolicy&) = delete;

  /// Takes over another version of the same model. False, with nothing changed, when it is another
  /// model; InputError, with nothing changed, as above.
  bool update(const std::filesystem::path& directory);

  const PackedPolicy& packed() const { return packed_; }

 private:
  struct Description {
    ModelConfig config;
    Dtype dtype;
  };
  static Description describe(const std::filesystem::path& directory);
  PublishedPolicy(const std::filesystem::path& directory, Description description);

  Weights weights_;
  PackedPolicy packed_;
};

}  // namespace zeroth
