// zeroth tokenizer train: a tokenizer learned from texts and columns of JSONL files.
#include "tools/tokenizer_train.h"

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/parallel.h"
#include "policy/tokenizer_trainer.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/options.h"

namespace zeroth {

namespace fs = std::filesystem;

struct TokenizerTrainConfig : TokenizerTraining {
  std::vector<std::string> files;
  std::vector<std::string> columns = {"text"};
  std::string output_dir;
  std::int64_t num_threads = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, TokenizerTrainConfig& c) {
  v("files", c.files,
    "texts: a file is one, but one called .jsonl has one in each column of a line");
  v("columns", c.columns, "columns of .jsonl files; each is a text of its own");
  v("output_dir", c.output_dir,
    "directory for tokenizer.json and tokenizer_config.json; must not be there");
  v("vocab_size", c.vocab_size,
    "tokens at most: those in front, the 256 bytes, and what is merged of them");
  v("min_frequency", c.min_frequency, "a pair that occurs less often is not merged");
  v("pattern", c.pattern,
    "cuts texts into words, within which is merged: gpt2, qwen2 (one digit a word), llama3 (up to "
    "three), or a regular expression");
  v("pad_token", c.pad_token, "special");
  v("bos_token", c.bos_token, "special");
  v("eos_token", c.eos_token, "special; ends a completion");
  v("special_tokens", c.special_tokens, "more special tokens, which decoded text leaves out");
  v("added_tokens", c.added_tokens, "tokens that are found whole and shown in decoded text");
  v("num_threads", c.num_threads, "threads; 0 = one for each processor; no result depends on it");
}

void check(const TokenizerTrainConfig& config) {
  const auto refuse = [](const char* field, const char* expected, const std::string& actual) {
    throw InputError(
        {.source = "tokenizer train", .field = field, .expected = expected, .actual = actual});
  };
  if (config.files.empty()) refuse("files", "texts to learn from", "nothing");
  if (config.columns.empty()) refuse("columns", "at least one", "none");
  if (config.output_dir.empty()) refuse("output_dir", "a directory to write", "nothing");
  if (fs::exists(config.output_dir)) {
    refuse("output_dir", "a directory that is not there yet", config.output_dir);
  }
  if (config.num_threads < 0 || config.num_threads > 1024) {
    refuse("num_threads", "0 to 1024", std::to_string(config.num_threads));
  }
}

namespace {

constexpr std::size_t kBatchBytes = std::size_t{64} << 20U;  // of columns that are held at once

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void add_columns(std::string_view text, const std::string& file,
                 const std::vector<std::string>& columns, TokenizerTrainer& trainer,
                 ThreadPool& pool) {
  std::vector<std::string> batch;
  std::size_t bytes = 0;
  const auto flush = [&] {
    trainer.add(std::vector<std::string_view>(batch.begin(), batch.end()), pool);
    batch.clear();
    bytes = 0;
  };
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonReader row = JsonReader::parse(line, file + ":" + std::to_string(number));
    for (const std::string& column : columns) {
      batch.push_back(row.get_string(column));
      bytes += batch.back().size();
    }
    if (bytes > kBatchBytes) flush();
  }
  flush();
}

void add_file(const std::string& name, const std::vector<std::string>& columns,
              TokenizerTrainer& trainer, ThreadPool& pool) {
  const MappedFile file(name);
  const std::string_view text = text_of(file);
  try {
    if (fs::path(name).extension() == ".jsonl") {
      add_columns(text, name, columns, trainer, pool);
    } else {
      trainer.add({&text, 1}, pool);
    }
  } catch (const InputError& error) {
    InputError::Parts parts = error.parts();
    if (!parts.source.starts_with(name)) parts.source = name + ": " + parts.source;
    throw InputError(parts);
  }
}

}  // namespace

int run_tokenizer_train(int argc, char** argv) {
  TokenizerTrainConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "tokenizer train",
                                           .summary = "learn a byte-level BPE tokenizer from text",
                                           .positional = "files"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  TokenizerTrainer trainer(config);
  if (options.dry_run) {
    std::cout << "would write a tokenizer of up to " << config.vocab_size << " tokens to "
              << config.output_dir << "\n";
    return kExitDone;
  }
  const double begin = monotonic_seconds();
  ThreadPool pool(static_cast<int>(config.num_threads));
  for (const std::string& file : config.files) add_file(file, config.columns, trainer, pool);
  const Tokenizer tokenizer = trainer.train();
  const double seconds = monotonic_seconds() - begin;
  PendingDirectory directory(config.output_dir);
  tokenizer.save(directory.path());
  directory.commit();
  std::cerr << "wrote " << config.output_dir << ": " << tokenizer.vocab_size() << " tokens from "
            << trainer.num_bytes() << " bytes of text, in " << seconds << " s\n";
  return kExitDone;
}

}  // namespace zeroth
