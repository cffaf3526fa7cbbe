#include "policy/tokenizer/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>

#include "policy/byte_level.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

/// Tokens in a row up to which all pairs are looked through for the next merge.
constexpr std::size_t kShort = 48;
constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

std::string fallback_spelling(int byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto digit = [&](int value) { return kDigits[static_cast<std::size_t>(value)]; };
  return {'<', '0', 'x', digit(byte / 16), digit(byte % 16), '>'};
}

}  // namespace

Bpe::Bpe(BpeOptions options, std::span<const BpeToken> vocab, IdTable ids,
         std::vector<BpeMerge> merges, std::int32_t unk_id)
    : options_(std::move(options)),
      spellings_(std::move(ids)),
      merges_(std::move(merges)),
      unk_id_(unk_id) {
  table_.reserve(merges_.size());
  for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
    table_.insert(merges_[rank], static_cast<std::int32_t>(rank));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto at = static_cast<std::size_t>(byte);
    byte_ids_[at] = spellings_.find(byte_level_character(static_cast<std::uint8_t>(byte)));
    fallback_ids_[at] = spellings_.find(fallback_spelling(byte));
  }
  // Most pieces of a text are tokens. Which tokens merge to themselves is found out once, so that
  // such a piece takes one look.
  IdTable whole;
  whole.reserve(vocab.size());
  Ids merged;
  for (const BpeToken& token : vocab) {
    const std::string_view text = options_.bytes ? token.bytes : token.spelling;
    merged.clear();
    if (!options_.ignore_merges &&
        (encode(text, merged) || merged.size() != 1 || merged[0] != token.id)) {
      continue;
    }
    whole.insert(text, token.id);
  }
  whole_ = std::move(whole);
}

std::optional<std::size_t> Bpe::encode(std::string_view piece, Ids& out) const {
  if (const std::int32_t whole = whole_.find(piece); whole >= 0) {
    out.push_back(whole);
    return std::nullopt;
  }
  return options_.bytes ? merge_bytes(piece, out) : merge_characters(piece, out);
}

std::optional<std::size_t> Bpe::merge_bytes(std::string_view piece, Ids& out) const {
  std::array<std::int32_t, kShort> few;
  Ids many;
  if (piece.size() > kShort) many.resize(piece.size());
  const std::span<std::int32_t> ids =
      many.empty() ? std::span(few).first(piece.size()) : std::span(many);
  for (std::size_t i = 0; i < piece.size(); ++i) {
    ids[i] = byte_ids_[static_cast<std::uint8_t>(piece[i])];
    if (ids[i] < 0) return i;
  }
  append_merged(ids, out);
  return std::nullopt;
}

void Bpe::append_merged(std::span<std::int32_t> ids, Ids& out) const {
  std::size_t count = ids.size();
  if (!merges_.empty()) count = ids.size() <= kShort ? merge_short(ids) : merge_long(ids);
  out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
}

std::int32_t Bpe::character_id(std::string_view character, bool first, bool last) const {
  if (options_.continuing_subword_prefix.empty() && options_.end_of_word_suffix.empty()) {
    return spellings_.find(character);
  }
  std::string text = first ? "" : options_.continuing_subword_prefix;
  text += character;
  if (last) text += options_.end_of_word_suffix;
  return spellings_.find(text);
}

bool Bpe::append_fallback(std::string_view bytes, Ids& ids) const {
  if (!options_.byte_fallback) return false;
  const auto id_of = [&](char byte) { return fallback_ids_[static_cast<std::uint8_t>(byte)]; };
  if (!std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return id_of(byte) >= 0; })) {
    return false;
  }
  for (const char byte : bytes) ids.push_back(id_of(byte));
  return true;
}

/// An unknown token waits for the next character that has one, as in `tokenizers`: bytes that stand
/// in come before it.
std::optional<std::size_t> Bpe::merge_characters(std::string_view piece, Ids& out) const {
  Ids ids;
  bool unknown_waits = false;
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t size = code_point_at(piece, at).size;
    const std::string_view character = piece.substr(at, size);
    const bool first = at == 0, last = at + size == piece.size();
    const std::int32_t id = character_id(character, first, last);
    if (id >= 0) {
      if (unknown_waits) ids.push_back(unk_id_);
      unknown_waits = false;
      ids.push_back(id);
    } else if (!append_fallback(character, ids)) {
      if (unk_id_ < 0) return at;
      if (unknown_waits && !options_.fuse_unk) ids.push_back(unk_id_);
      unknown_waits = true;
    }
    at += size;
  }
  if (unknown_waits) ids.push_back(unk_id_);
  append_merged(ids, out);
  return std::nullopt;
}

std::size_t Bpe::merge_short(std::span<std::int32_t> ids) const {
  std::array<MergeTable::Found, kShort> pairs;  // of each token and the next
  const auto look_up = [&](std::size_t left) {
    pairs[left] = table_.find(ids[left], ids[left + 1]);
    if (pairs[left].rank < 0) pairs[left].rank = kNoRank;
  };
  std::size_t n = ids.size();
  for (std::size_t i = 0; i + 1 < n; ++i) look_up(i);
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoRank) break;
    ids[best] = pairs[best].result;
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      ids[i] = ids[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --n;
    if (best > 0) look_up(best - 1);
    if (best + 1 < n) look_up(best);
  }
  return n;
}

/// The tokens are a linked list, the pairs a queue: O(n log n).
std::size_t Bpe::merge_long(std::span<std::int32_t> ids) const {
  constexpr std::size_t kEnd = static_cast<std::size_t>(-1);
  const std::size_t n = ids.size();
  std::vector<std::size_t> previous(n), next(n);
  for (std::size_t i = 0; i < n; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == n ? kEnd : i + 1;
  }
  struct Pair {
    std::int32_t rank;
    std::size_t left;
    std::int32_t left_id, right_id, result;
    bool operator>(const Pair& other) const {
      return std::tie(rank, left) > std::tie(other.rank, other.left);
    }
  };
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> pairs;
  const auto push = [&](std::size_t left) {
    if (left == kEnd || next[left] == kEnd) return;
    const std::int32_t left_id = ids[left], right_id = ids[next[left]];
    const MergeTable::Found found = table_.find(left_id, right_id);
    if (found.rank >= 0) pairs.push({found.rank, left, left_id, right_id, found.result});
  };
  for (std::size_t i = 0; i < n; ++i) push(i);
  while (!pairs.empty()) {
    const Pair pair = pairs.top();
    pairs.pop();
    const std::size_t right = ids[pair.left] == pair.left_id ? next[pair.left] : kEnd;
    if (right == kEnd || ids[right] != pair.right_id)
      continue;  // one of the two was merged meanwhile
    ids[pair.left] = pair.result;
    ids[right] = -1;
    next[pair.left] = next[right];
    if (next[right] != kEnd) previous[next[right]] = pair.left;
    push(previous[pair.left]);
    push(pair.left);
  }
  return static_cast<std::size_t>(std::remove(ids.begin(), ids.end(), -1) - ids.begin());
}

}  // namespace zeroth
