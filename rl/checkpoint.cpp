#include "rl/checkpoint.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <stdexcept>
#include <string_view>

#include "policy/hf_model.h"
#include "rl/optimizer_state.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kOptimizerFile = "optimizer.safetensors";

// A checkpoint without one of these is not whole, whatever its SHA256SUMS lists.
constexpr std::array<const char*, 5> kRequiredFiles = {"config.json", "tokenizer.json",
                                                       "model.safetensors", "optimizer.safetensors",
                                                       "trainer_state.json"};

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char character) {
    return std::isdigit(character) != 0;
  });
}

// The N of checkpoint-N; nullopt for any other name.
std::optional<std::int64_t> step_of(const fs::path& directory) {
  const std::string name = directory.filename().string();
  if (name.rfind(kPrefix, 0) != 0) return std::nullopt;
  const std::string_view digits = std::string_view(name).substr(kPrefix.size());
  std::int64_t step = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  const bool whole = all_digits(digits) && result.ec == std::errc();
  return whole ? std::optional<std::int64_t>(step) : std::nullopt;
}

struct Found {
  std::int64_t step = 0;
  fs::path directory;
};

// Every checkpoint-N of the directory, newest first.
std::vector<Found> find_checkpoints(const fs::path& output_dir) {
  std::vector<Found> found;
  if (!fs::is_directory(output_dir)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(output_dir)) {
    const std::optional<std::int64_t> step = step_of(entry.path());
    if (step && entry.is_directory()) found.push_back({*step, entry.path()});
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.step > b.step; });
  return found;
}

// Removed under another name, so that an interruption leaves no part of a checkpoint under its own.
void remove_checkpoint(const fs::path& directory) {
  fs::path aside = directory;
  aside += ".removed";
  fs::remove_all(aside);
  fs::rename(directory, aside);
  fs::remove_all(aside);
}

void remove_oldest(const fs::path& output_dir, std::int64_t newest_step, std::int64_t limit) {
  std::int64_t kept = 0;
  for (const Found& found : find_checkpoints(output_dir)) {
    if (found.step > newest_step) continue;
    if (kept < limit) {
      ++kept;
    } else {
      remove_checkpoint(found.directory);
    }
  }
}

void write_model(const fs::path& directory, const ModelConfig& config, const Weights& weights,
                 const fs::path& tokenizer_directory) {
  // Nothing could be sampled from a checkpoint without one.
  const fs::path tokenizer = tokenizer_directory / "tokenizer.json";
  if (!fs::exists(tokenizer)) {
    throw InputError({.source = tokenizer.string(),
                      .field = "",
                      .expected = "the model's tokenizer, for the checkpoint",
                      .actual = "nothing"});
  }
  write_file_atomically(directory / "config.json", config.hf_json);
  write_side_files(directory, config, tokenizer_directory);
  save_weights(weights, directory, /*bf16=*/false);
}

[[noreturn]] void throw_incomplete(const fs::path& directory, const std::string& expected,
                                   const std::string& actual) {
  throw InputError(
      {.source = directory.string(), .field = "", .expected = expected, .actual = actual});
}

// Every file that must be there is, is listed with its checksum and has it.
void verify(const fs::path& directory) {
  if (!fs::is_directory(directory)) {
    throw_incomplete(directory, "a checkpoint directory", "no such directory");
  }
  const fs::path sums_file = directory / "SHA256SUMS";
  const std::string sums = read_file(sums_file);
  for (const char* name : kRequiredFiles) {
    const std::string end_of_line = std::string("  ") + name + "\n";
    if (sums.find(end_of_line) == std::string::npos) {
      throw_incomplete(sums_file, std::string("a line for ") + name, "none");
    }
  }
  verify_sha256sums(directory);
}

}  // namespace

void remove_leftovers(const fs::path& output_dir) {
  if (!fs::is_directory(output_dir)) return;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(output_dir)) {
    const std::string suffix = entry.path().extension().string();
    const fs::path stem = entry.path().stem();
    const bool of_checkpoint = suffix == ".removed" || suffix.rfind(".tmp-", 0) == 0;
    const bool of_file = suffix.rfind(".tmp-", 0) == 0 &&
                         (stem.extension() == ".toml" || stem.extension() == ".html");
    if ((of_checkpoint && step_of(stem)) || of_file) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path);
}

fs::path save_checkpoint(const fs::path& output_dir, const CheckpointContents& contents,
                         std::int64_t save_total_limit) {
  const std::string state = write_trainer_state(contents.state);
  remove_leftovers(output_dir);
  const fs::path directory =
      output_dir / (std::string(kPrefix) + std::to_string(contents.state.step));
  PendingDirectory pending(directory);
  write_model(pending.path(), contents.config, contents.weights, contents.tokenizer_directory);
  write_optimizer_state(pending.path() / kOptimizerFile, contents.weights, contents.exp_avg,
                        contents.exp_avg_sq);
  write_file_atomically(pending.path() / "trainer_state.json", state);
  pending.commit();
  if (save_total_limit > 0) remove_oldest(output_dir, contents.state.step, save_total_limit);
  return directory;
}

void save_model(const fs::path& to, const ModelConfig& config, const Weights& weights,
                const fs::path& tokenizer_directory) {
  PendingDirectory pending(to);
  write_model(pending.path(), config, weights, tokenizer_directory);
  pending.commit();
}

std::vector<std::int64_t> checkpoint_steps(const fs::path& output_dir) {
  std::vector<std::int64_t> steps;
  for (const Found& found : find_checkpoints(output_dir)) steps.push_back(found.step);
  return steps;
}

LatestCheckpoint latest_checkpoint(const fs::path& output_dir) {
  LatestCheckpoint latest;
  for (const Found& found : find_checkpoints(output_dir)) {
    try {
      verify(found.directory);
      latest.directory = found.directory;
      return latest;
    } catch (const InputError& error) {
      latest.skipped.emplace_back(error.what());
    }
  }
  return latest;
}

LoadedCheckpoint load_checkpoint(const fs::path& directory, const ModelConfig& config) {
  verify(directory);
  TrainerState state = read_trainer_state(directory);
  Weights weights = load_weights(directory, config);
  OptimizerState optimizer = read_optimizer_state(directory / kOptimizerFile, weights);
  return {.weights = std::move(weights),
          .exp_avg = std::move(optimizer.exp_avg),
          .exp_avg_sq = std::move(optimizer.exp_avg_sq),
          .state = std::move(state)};
}

}  // namespace zeroth
