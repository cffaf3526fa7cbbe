#include "policy/tokenizer/bpe_trainer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace zeroth {
namespace {

using Words = std::vector<std::pair<std::string, std::int64_t>>;
using Strings = std::vector<std::string>;

TrainedBpe learn(const Words& words, const BpeTraining& training) {
  std::vector<WordCount> counts;
  for (const auto& [word, count] : words) counts.push_back({word, count});
  return train_bpe(counts, training);
}

Strings merged_tokens(const TrainedBpe& bpe, std::size_t num_first = 0) {
  return {bpe.tokens.begin() + static_cast<std::ptrdiff_t>(num_first + 256), bpe.tokens.end()};
}

/// Counts all pairs anew for each merge.
Strings learn_plainly(const Words& words, std::int64_t num_merges, std::int64_t min_frequency) {
  std::vector<std::vector<std::size_t>> symbols;
  Strings tokens;
  std::map<char, std::size_t> ids;
  for (char c = '!'; c <= '~'; ++c) {
    ids[c] = tokens.size();
    tokens.emplace_back(1, c);
  }
  const std::size_t num_first = tokens.size();
  for (const auto& entry : words) {
    symbols.emplace_back();
    for (const char c : entry.first) symbols.back().push_back(ids[c]);
  }
  for (std::int64_t step = 0; step < num_merges; ++step) {
    std::map<std::pair<std::size_t, std::size_t>, std::int64_t> counts;
    for (std::size_t w = 0; w < words.size(); ++w) {
      for (std::size_t i = 1; i < symbols[w].size(); ++i) {
        counts[{symbols[w][i - 1], symbols[w][i]}] += words[w].second;
      }
    }
    auto best = counts.end();  // of equals the first, which has the smallest ids
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      if (best == counts.end() || it->second > best->second) best = it;
    }
    if (best == counts.end() || best->second < min_frequency) break;
    const auto [left, right] = best->first;
    tokens.push_back(tokens[left] + tokens[right]);
    for (auto& word : symbols) {
      std::vector<std::size_t> made;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool merges = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
        made.push_back(merges ? tokens.size() - 1 : word[i]);
        if (merges) ++i;
      }
      word = made;
    }
  }
  return {tokens.begin() + static_cast<std::ptrdiff_t>(num_first), tokens.end()};
}

Words random_words(unsigned seed) {
  std::mt19937 random(seed);
  const auto num_letters = 1 + random() % 4;
  std::map<std::string, std::int64_t> words;
  for (unsigned i = 0; i < 40; ++i) {
    std::string word;
    for (const auto length = 1 + random() % 12; word.size() < length;) {
      word += static_cast<char>('a' + random() % num_letters);
    }
    words[word] += 1 + random() % 5;
  }
  return {words.begin(), words.end()};
}

}  // namespace

TEST_CASE("train_bpe: the words of Sennrich et al., by hand", "[policy]") {
  const Words words = {{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}};
  // es and st occur 9 times; e has the smaller id. Then est; then lo and ow 7 times each.
  const TrainedBpe bpe = learn(words, {.vocab_size = 256 + 4});
  CHECK(merged_tokens(bpe) == Strings{"es", "est", "lo", "low"});
  CHECK(bpe.tokens[0] == "!");  // the bytes by their characters' code points
  const auto e = static_cast<std::int32_t>(std::find(bpe.tokens.begin(), bpe.tokens.end(), "e") -
                                           bpe.tokens.begin());
  CHECK(bpe.merges[0] == std::pair<std::int32_t, std::int32_t>(e, e + ('s' - 'e')));
  CHECK(bpe.merges[1] == std::pair<std::int32_t, std::int32_t>(256, e + ('t' - 'e')));
}

TEST_CASE("train_bpe: rare pairs are not merged, and a small vocabulary has none", "[policy]") {
  const Words words = {{"ab", 2}, {"cd", 1}};
  CHECK(merged_tokens(learn(words, {.vocab_size = 1000})) == Strings{"ab"});
  CHECK(merged_tokens(learn(words, {.vocab_size = 1000, .min_frequency = 1})) ==
        Strings{"ab", "cd"});
  CHECK(learn(words, {.vocab_size = 10}).tokens.size() == 256);
  CHECK(learn({}, {.vocab_size = 1000}).merges.empty());
}

TEST_CASE("train_bpe: tokens in front take the first ids, and one that merges make stays itself",
          "[policy]") {
  const TrainedBpe bpe =
      learn({{"abab", 3}}, {.vocab_size = 1000, .first_tokens = {"<pad>", "ab"}});
  CHECK(bpe.tokens[0] == "<pad>");
  CHECK(merged_tokens(bpe, 2) == Strings{"abab"});
  CHECK(bpe.merges.back() == std::pair<std::int32_t, std::int32_t>(1, 1));
}

TEST_CASE("train_bpe: counts kept up to date are counts made anew", "[policy]") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    INFO(seed);
    const Words words = random_words(seed);
    const std::int64_t min_frequency = 1 + seed % 3;
    const TrainedBpe bpe = learn(words, {.vocab_size = 256 + 50, .min_frequency = min_frequency});
    REQUIRE(merged_tokens(bpe) == learn_plainly(words, 50, min_frequency));
  }
}

TEST_CASE("train_bpe: the order of the words does not matter, their counts do", "[policy]") {
  Words words = random_words(3);
  const TrainedBpe bpe = learn(words, {.vocab_size = 300});
  std::shuffle(words.begin(), words.end(), std::mt19937(1));
  CHECK(learn(words, {.vocab_size = 300}).merges == bpe.merges);
  words.front().second += 1000;
  CHECK(learn(words, {.vocab_size = 300}).merges != bpe.merges);
}

}  // namespace zeroth
