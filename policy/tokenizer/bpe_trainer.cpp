#include "policy/tokenizer/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <map>
#include <queue>
#include <unordered_map>

#include "policy/byte_level.h"

namespace zeroth {
namespace {

using Id = std::uint32_t;
using PairKey = std::uint64_t;

PairKey key_of(Id left, Id right) {
  return PairKey{left} << 32U | right;
}

/// Indices of pairs, given in the order in which they are met: open addressing, linear probing.
class PairIndex {
 public:
  std::uint32_t operator[](PairKey key) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[place_of(key)];
    if (slot.index == kNone) slot = {key, size_++};
    return slot.index;
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Slot {
    PairKey key = 0;
    std::uint32_t index = kNone;
  };

  std::size_t place_of(PairKey key) const {
    // Fibonacci hashing (Knuth, volume 3, 6.4).
    std::size_t at = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> shift_);
    while (slots_[at].index != kNone && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    --shift_;
    for (const Slot& slot : old) {
      if (slot.index != kNone) slots_[place_of(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1024);
  unsigned shift_ = 54;
  std::uint32_t size_ = 0;
};

/// A pair is met in one step, that which makes the later of its two tokens; from then on its count
/// only falls. No two merges make the same token: what stands between two cuts of a word was
/// merged as it would be alone, so all of equal text there is cut alike.
class Trainer {
 public:
  Trainer(std::span<const WordCount> words, const BpeTraining& training) : training_(training) {
    for (const std::string& token : training.first_tokens) id_of(token);
    const std::array<Id, 256> bytes = byte_ids();
    words_.reserve(words.size());
    for (const WordCount& word : words) {
      words_.push_back({symbols_.size(), word.bytes.size(), word.count});
      for (const char c : word.bytes) symbols_.push_back(bytes[static_cast<std::uint8_t>(c)]);
    }
  }

  TrainedBpe train() {
    for (std::uint32_t word = 0; word < words_.size(); ++word) count_pairs(word);
    queue_met();
    while (static_cast<std::int64_t>(tokens_.size()) < training_.vocab_size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const std::int64_t count = pairs_[best.pair].count;
      if (count != best.count) {  // it changed since
        queue_.push({count, best.key, best.pair});
        continue;
      }
      if (count < std::max<std::int64_t>(1, training_.min_frequency)) break;
      merge(best);
    }
    return {std::move(tokens_), std::move(merges_)};
  }

 private:
  struct Word {
    std::size_t begin, length;  // of symbols_
    std::int64_t count;
  };
  struct Pair {
    PairKey key;
    std::uint32_t index;  // of this in pairs_
    std::int64_t count;
    std::vector<std::uint32_t> words;  // in which it was met
  };
  struct Candidate {
    std::int64_t count;
    PairKey key;
    std::uint32_t pair;  // of pairs_

    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : key > other.key;
    }
  };

  Id id_of(const std::string& token) {
    const auto [entry, is_new] = ids_.emplace(token, static_cast<Id>(tokens_.size()));
    if (is_new) tokens_.push_back(token);
    return entry->second;
  }

  /// The bytes' ids, in the order of their characters' code points.
  std::array<Id, 256> byte_ids() {
    std::map<std::string, int> by_character;  // UTF-8 sorts as its code points do
    for (int byte = 0; byte < 256; ++byte) {
      by_character[byte_level_character(static_cast<std::uint8_t>(byte))] = byte;
    }
    std::array<Id, 256> ids{};
    for (const auto& [character, byte] : by_character) {
      ids[static_cast<std::size_t>(byte)] = id_of(character);
    }
    return ids;
  }

  Pair& pair_of(Id left, Id right) {
    const std::uint32_t index = pair_index_[key_of(left, right)];
    if (index == pairs_.size()) pairs_.push_back({key_of(left, right), index, 0, {}});
    return pairs_[index];
  }

  void meet(Id left, Id right, std::int64_t count, std::uint32_t word) {
    Pair& pair = pair_of(left, right);
    pair.count += count;
    if (pair.words.empty()) met_.push_back(pair.index);
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  }

  void count_pairs(std::uint32_t word) {
    const auto [begin, length, count] = words_[word];
    for (std::size_t i = 1; i < length; ++i) {
      meet(symbols_[begin + i - 1], symbols_[begin + i], count, word);
    }
  }

  /// The pairs of a step become candidates.
  void queue_met() {
    for (const std::uint32_t index : met_) {
      const Pair& pair = pairs_[index];
      if (pair.count > 0) queue_.push({pair.count, pair.key, index});
    }
    met_.clear();
  }

  void merge(const Candidate& best) {
    const Id left = static_cast<Id>(best.key >> 32U), right = static_cast<Id>(best.key);
    const Id made = id_of(tokens_[left] + tokens_[right]);
    merges_.emplace_back(static_cast<std::int32_t>(left), static_cast<std::int32_t>(right));
    const std::vector<std::uint32_t> words = std::move(pairs_[best.pair].words);
    for (const std::uint32_t word : words) merge_in(word, left, right, made);
    queue_met();
  }

  /// Left to right, and the counts of the neighbours with it.
  void merge_in(std::uint32_t index, Id left, Id right, Id made) {
    Word& word = words_[index];
    Id* symbols = symbols_.data() + word.begin;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < word.length; ++i) {
      if (symbols[i] != left || i + 1 == word.length || symbols[i + 1] != right) {
        symbols[kept++] = symbols[i];
        continue;
      }
      if (kept > 0) {
        pair_of(symbols[kept - 1], left).count -= word.count;
        meet(symbols[kept - 1], made, word.count, index);
      }
      ++i;
      if (i + 1 < word.length) {
        pair_of(right, symbols[i + 1]).count -= word.count;
        meet(made, symbols[i + 1], word.count, index);
      }
      symbols[kept++] = made;
    }
    word.length = kept;
  }

  const BpeTraining& training_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, Id> ids_;
  std::vector<Id> symbols_;  // of all words, one behind the other
  std::vector<Word> words_;
  PairIndex pair_index_;
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> met_;  // pairs of this step
  std::priority_queue<Candidate> queue_;
  std::vector<std::pair<std::int32_t, std::int32_t>> merges_;
};

}  // namespace

TrainedBpe train_bpe(std::span<const WordCount> words, const BpeTraining& training) {
  return Trainer(words, training).train();
}

}  // namespace zeroth
