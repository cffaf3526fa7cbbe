// How often each word of texts occurs, a word being what a pre-tokenizer cuts them into.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/parallel.h"
#include "policy/tokenizer/bpe_trainer.h"
#include "policy/tokenizer/pre_tokenizer.h"

namespace zeroth {

class WordCounter {
 public:
  /// `cuts_at_lines`: the pre-tokenizer always cuts before and behind a line feed between two
  /// letters or digits of ASCII, so that a long text may be worked on in parts.
  WordCounter(PreTokenizer pre_tokenizer, bool cuts_at_lines)
      : pre_tokenizer_(std::move(pre_tokenizer)), cuts_at_lines_(cuts_at_lines) {}

  /// Each of `texts` by itself. InputError for one that is not UTF-8 and for an expression that
  /// backtracks without end; what was counted until then is not specified.
  void add(std::span<const std::string_view> texts, ThreadPool& pool);

  /// All words, in the order of their bytes; they live as long as nothing is added.
  std::vector<WordCount> counts() const;
  std::int64_t num_bytes() const { return num_bytes_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Counts = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

  void count(std::string_view text, Counts& counts) const;

  PreTokenizer pre_tokenizer_;
  bool cuts_at_lines_;
  std::int64_t num_bytes_ = 0;
  std::vector<Counts> counts_;  // as many as threads were at work at once
};

}  // namespace zeroth
