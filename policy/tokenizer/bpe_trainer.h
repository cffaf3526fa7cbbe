// Learns the merges of a byte-level BPE from words and how often they occur (Sennrich et al. 2016,
// arXiv:1508.07909): the pair that stands most often side by side becomes a token, again and again.
//
// Goals: the vocabulary and merges that the BpeTrainer of Hugging Face's `tokenizers` learns from
// the same words, in time that grows with what changes: counts of pairs and the words they stand in
// are kept up to date, and a heap finds the next. Of pairs with equal counts the one of the smaller
// ids goes first, so the result is a function of the words and of nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zeroth {

struct WordCount {
  std::string_view bytes;
  std::int64_t count = 0;
};

struct BpeTraining {
  std::int64_t vocab_size = 0;     // at most; the 256 bytes and first_tokens are there in any case
  std::int64_t min_frequency = 2;  // pairs that are rarer are not merged
  std::vector<std::string> first_tokens = {};  // take the first ids, before the bytes
};

struct TrainedBpe {
  std::vector<std::string> tokens;  // by id, in GPT-2's alphabet (byte_level.h)
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  // the first to be applied first
};

/// `words` in any order, each once.
TrainedBpe train_bpe(std::span<const WordCount> words, const BpeTraining& training);

}  // namespace zeroth
