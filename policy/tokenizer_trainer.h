// A byte-level BPE tokenizer learned from text, as a tokenizer.json like any other.
//
// Promise: the ids and merges are those of Hugging Face's `tokenizers` 0.23.3 with the same
// expression (Split and ByteLevel, or ByteLevel alone for GPT-2's), a BpeTrainer with the whole
// byte alphabet and the same tokens in front, and the same texts. They do not depend on threads or
// on the order of the texts. Tokens in front are not looked for in the texts, there as here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/parallel.h"
#include "policy/tokenizer.h"
#include "policy/tokenizer/word_counter.h"

namespace zeroth {

struct TokenizerTraining {
  std::int64_t vocab_size = 8192;  // at most; fewer where no pair is frequent enough
  std::int64_t min_frequency = 2;  // of a pair that is merged
  /// What cuts a text into words: gpt2, qwen2 or llama3, as those models' files do, or an
  /// expression of the user's, whose matches and what lies between them are words.
  std::string pattern = "qwen2";
  // These take the first ids, in this order; all but added_tokens are special.
  std::string pad_token = "<pad>";
  std::string bos_token = "<bos>";
  std::string eos_token = "<eos>";
  std::vector<std::string> special_tokens = {};
  std::vector<std::string> added_tokens = {"<think>", "</think>", "<answer>", "</answer>"};
};

class TokenizerTrainer {
 public:
  /// InputError naming the member that is wrong.
  explicit TokenizerTrainer(TokenizerTraining training);

  /// Counts the words of `texts`, each of which is cut by itself. InputError for one that is not
  /// UTF-8 or on which the expression backtracks without end.
  void add(std::span<const std::string_view> texts, ThreadPool& pool) { words_.add(texts, pool); }
  std::int64_t num_bytes() const { return words_.num_bytes(); }

  /// The tokenizer of all that was added.
  Tokenizer train() const;

 private:
  TokenizerTraining training_;
  WordCounter words_;
};

}  // namespace zeroth
