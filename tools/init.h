// A checkpoint with random weights, as zeroth init and the quickstart make it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "policy/model_config.h"
#include "rl/config.h"

namespace zeroth {

/// Writes config.json, generation_config.json, model.safetensors, the tokenizer's files and
/// SHA256SUMS to config.output_dir, whole or not at all. The vocabulary is the tokenizer's. Throws
/// InputError for a preset that is not known or not consistent, an alphabet that is none,
/// and a directory that is there.
void write_initial_checkpoint(const InitConfig& config);

/// What the student of a teacher is before it has learnt anything: `preset` (a name or a
/// config.json) with the teacher's vocabulary and special tokens. InputError as above.
ModelConfig initial_student_config(const std::string& preset, const ModelConfig& teacher);

/// Writes that with random weights, and the tokenizer's files that stand in `teacher_directory`, to
/// `output_dir`, in place of what is there.
void write_initial_student(const ModelConfig& student,
                           const std::filesystem::path& teacher_directory, std::uint64_t seed,
                           const std::filesystem::path& output_dir);

}  // namespace zeroth
