#include "policy/tokenizer_trainer.h"

#include <array>
#include <set>
#include <utility>

#include "policy/tokenizer/bpe_trainer.h"
#include "policy/tokenizer/known_patterns.h"
#include "policy/tokenizer/pipeline_reader.h"
#include "policy/tokenizer/tokenizer_json.h"
#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::int64_t kNumBytes = 256;
constexpr std::int64_t kMostTokens = 1 << 24;

struct NamedPattern {
  std::string_view name, expression;
};

constexpr std::array kPatterns = {
    NamedPattern{"gpt2", kGpt2Pattern},
    NamedPattern{"qwen2", kQwen2Pattern},
    NamedPattern{"llama3", kLlama3Pattern},
};

const NamedPattern* find_pattern(const std::string& name) {
  for (const NamedPattern& pattern : kPatterns) {
    if (pattern.name == name) return &pattern;
  }
  return nullptr;
}

[[noreturn]] void refuse(const char* field, const std::string& expected,
                         const std::string& actual) {
  throw InputError(
      {.source = "tokenizer training", .field = field, .expected = expected, .actual = actual});
}

json::object pre_tokenizer_json(const std::string& pattern) {
  if (pattern == "gpt2") return byte_level_json(/*use_regex=*/true);  // has the expression
  const NamedPattern* named = find_pattern(pattern);
  const std::string_view expression = named != nullptr ? named->expression : pattern;
  json::object split = {{"type", "Split"},
                        {"pattern", json::object{{"Regex", expression}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
  return {{"type", "Sequence"},
          {"pretokenizers", json::array{std::move(split), byte_level_json(/*use_regex=*/false)}}};
}

PreTokenizer pre_tokenizer_of(const std::string& pattern) {
  if (pattern.empty()) refuse("pattern", "gpt2, qwen2, llama3 or an expression", "nothing");
  const json::object file = {{"pre_tokenizer", pre_tokenizer_json(pattern)}};
  const JsonReader reader = JsonReader::parse(write_json(file), "the pattern's tokenizer.json");
  PreTokenizer made;
  PipelineReader(reader).read_pre_tokenizer(made);
  return made;
}

std::vector<std::string> first_tokens(const TokenizerTraining& training) {
  std::vector<std::string> tokens = {training.pad_token, training.bos_token, training.eos_token};
  for (const auto* more : {&training.special_tokens, &training.added_tokens}) {
    tokens.insert(tokens.end(), more->begin(), more->end());
  }
  return tokens;
}

void check(const TokenizerTraining& training) {
  std::set<std::string> seen;
  for (const std::string& token : first_tokens(training)) {
    if (token.empty() || !decodes_to_itself(token)) {
      refuse("special_tokens", "tokens that decode to themselves", "\"" + token + "\"");
    }
    if (!seen.insert(token).second) refuse("special_tokens", "each token once", token + " twice");
  }
  const std::int64_t least = kNumBytes + static_cast<std::int64_t>(seen.size());
  if (training.vocab_size < least || training.vocab_size > kMostTokens) {
    refuse("vocab_size",
           std::to_string(least) + " (the bytes and the tokens in front) to " +
               std::to_string(kMostTokens),
           std::to_string(training.vocab_size));
  }
  if (training.min_frequency < 1) {
    refuse("min_frequency", "at least 1", std::to_string(training.min_frequency));
  }
}

TokenizerTraining checked(TokenizerTraining training) {
  check(training);
  return training;
}

}  // namespace

TokenizerTrainer::TokenizerTrainer(TokenizerTraining training)
    : training_(checked(std::move(training))),
      words_(pre_tokenizer_of(training_.pattern),
             /*cuts_at_lines=*/find_pattern(training_.pattern) != nullptr) {}

Tokenizer TokenizerTrainer::train() const {
  const std::vector<std::string> first = first_tokens(training_);
  const TrainedBpe bpe = train_bpe(words_.counts(), {.vocab_size = training_.vocab_size,
                                                     .min_frequency = training_.min_frequency,
                                                     .first_tokens = first});
  TokenizerJson file{
      .added_tokens = {}, .pre_tokenizer = pre_tokenizer_json(training_.pattern), .vocab = {}};
  const std::size_t num_special = first.size() - training_.added_tokens.size();
  for (std::size_t id = 0; id < first.size(); ++id) {
    file.added_tokens.push_back(
        added_token_json(static_cast<std::int32_t>(id), first[id], id < num_special));
  }
  for (std::size_t id = 0; id < bpe.tokens.size(); ++id) file.vocab[bpe.tokens[id]] = id;
  for (const auto& [left, right] : bpe.merges) {
    file.merges.push_back(json::array{bpe.tokens[static_cast<std::size_t>(left)],
                                      bpe.tokens[static_cast<std::size_t>(right)]});
  }
  return Tokenizer::parse(
      tokenizer_json_text(std::move(file)),
      tokenizer_config_text(
          {.pad = training_.pad_token, .bos = training_.bos_token, .eos = training_.eos_token}),
      "tokenizer.json");
}

}  // namespace zeroth
