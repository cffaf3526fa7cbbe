// Byte-pair encoding of one piece of text: the BPE model of tokenizer.json.
//
// A piece begins as one token a byte (byte-level vocabularies) or one a character, and neighbours
// are merged, the merge of lowest rank first, until none is left (Sennrich et al. 2016,
// arXiv:1508.07909).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/tables.h"

namespace zeroth {

struct BpeOptions {
  bool bytes = true;           // pieces are bytes, not characters
  bool ignore_merges = false;  // a piece that is a token is that token, whatever merges say
  bool byte_fallback = false;  // a character without a token: <0x..> of its bytes
  bool fuse_unk = false;       // unknown characters in a row are one token
  std::string continuing_subword_prefix;  // of every character but the first
  std::string end_of_word_suffix;         // of the last character
};

/// A token of the vocabulary: how the file spells it, and (with BpeOptions::bytes) what it is.
struct BpeToken {
  std::string_view spelling, bytes;
  std::int32_t id;
};

/// Immutable.
class Bpe {
 public:
  Bpe() = default;
  /// `ids` are those of the spellings in `vocab`, whose texts outlive this. Merges in the order of
  /// their rank, no pair twice; `unk_id`: -1 for none.
  Bpe(BpeOptions options, std::span<const BpeToken> vocab, IdTable ids,
      std::vector<BpeMerge> merges, std::int32_t unk_id);

  /// Appends the ids of `piece`. Where a byte or character has no token and no stand-in, its offset
  /// comes back, and `out` is what it was.
  std::optional<std::size_t> encode(std::string_view piece, std::vector<std::int32_t>& out) const;

  const std::vector<BpeMerge>& merges() const { return merges_; }
  const BpeOptions& options() const { return options_; }

 private:
  using Ids = std::vector<std::int32_t>;
  std::optional<std::size_t> merge_bytes(std::string_view piece, Ids& out) const;
  std::optional<std::size_t> merge_characters(std::string_view piece, Ids& out) const;
  std::int32_t character_id(std::string_view character, bool first, bool last) const;
  bool append_fallback(std::string_view bytes, Ids& ids) const;
  void append_merged(std::span<std::int32_t> ids, Ids& out) const;
  std::size_t merge_short(std::span<std::int32_t> ids) const;
  std::size_t merge_long(std::span<std::int32_t> ids) const;

  BpeOptions options_;
  IdTable spellings_;
  IdTable whole_;  // texts that are one token, merged or not
  std::vector<BpeMerge> merges_;
  MergeTable table_;
  std::array<std::int32_t, 256> byte_ids_{};      // -1: none
  std::array<std::int32_t, 256> fallback_ids_{};  // of <0x..>
  std::int32_t unk_id_ = -1;
};

}  // namespace zeroth
