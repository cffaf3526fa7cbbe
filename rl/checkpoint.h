// checkpoint-N: everything a run needs to go on after step N, in a directory that Hugging Face's
// transformers loads as a model.
//
//   config.json, generation_config.json, tokenizer.json, tokenizer_config.json …   the model's side
//   files model.safetensors       fp32 master weights, so that a resumed run has the same bits
//   optimizer.safetensors   exp_avg.<tensor> and exp_avg_sq.<tensor>: AdamW's moments, fp32
//   trainer_state.json      TrainerState
//   SHA256SUMS              of all of them
//
// Goal: at any moment, also after kill -9 or on a full disk, the newest complete checkpoint is
// whole and older ones are as they were. Non-goal: a checkpoint of half the weights' bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/model_config.h"
#include "policy/weights.h"
#include "rl/trainer_state.h"

namespace zeroth {

struct CheckpointContents {
  const ModelConfig& config;
  const Weights& weights;
  std::span<const float> exp_avg;     // in the flat layout of `weights`
  std::span<const float> exp_avg_sq;  // the same
  const TrainerState& state;
  /// Where tokenizer.json, tokenizer_config.json and, if it has them, the other side files of
  /// a Hugging Face model (chat_template.jinja, generation_config.json …) are copied from.
  std::filesystem::path tokenizer_directory;
};

/// Writes `output_dir`/checkpoint-<step> aside and puts it in place, replacing one of an earlier
/// execution of the step. Then, when save_total_limit > 0, the oldest checkpoints are removed until
/// that many up to this step are left; those of later steps are not touched. Returns the directory.
///
/// InputError when a tokenizer file cannot be read; std::system_error, with the checkpoints that
/// were there untouched, when the disk is full; std::invalid_argument when the moments do not have
/// the size of the weights or the step is negative.
std::filesystem::path save_checkpoint(const std::filesystem::path& output_dir,
                                      const CheckpointContents& contents,
                                      std::int64_t save_total_limit);

/// Writes the model's side alone as the directory `to`: what samples, evaluates and loads
/// elsewhere, and does not resume. Errors as above.
void save_model(const std::filesystem::path& to, const ModelConfig& config, const Weights& weights,
                const std::filesystem::path& tokenizer_directory);

/// Removes what an interrupted save or removal left in `output_dir`: checkpoint-N.tmp-<pid>,
/// checkpoint-N.removed, <config>.toml.tmp-<pid> and <report>.html.tmp-<pid>. save_checkpoint()
/// does it, too.
void remove_leftovers(const std::filesystem::path& output_dir);

/// The N of every checkpoint-N in `output_dir`, newest first, whole or not.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& output_dir);

struct LatestCheckpoint {
  std::optional<std::filesystem::path> directory;  // newest whole one; nullopt when there is none
  std::vector<std::string> skipped;                // why newer ones were passed over, newest first
};

/// The checkpoint-N of `output_dir` with the largest N whose files are all there and have their
/// checksums. Names that are no checkpoint-N are not looked at; an output_dir that is absent has
/// none.
LatestCheckpoint latest_checkpoint(const std::filesystem::path& output_dir);

struct LoadedCheckpoint {
  Weights weights;
  std::vector<float> exp_avg;     // flat layout of `weights`
  std::vector<float> exp_avg_sq;  // the same
  TrainerState state;
};

/// Reads `directory`, checksums first, for a model of `config`. InputError naming the file and what
/// is missing or differs; for a tensor its name, expected and actual shape.
LoadedCheckpoint load_checkpoint(const std::filesystem::path& directory, const ModelConfig& config);

}  // namespace zeroth
