#include "policy/tokenizer/added_tokens.h"

#include <algorithm>

#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

CodePoint code_point_before(std::string_view text, std::size_t end) {
  std::size_t at = end - 1;
  while (at > 0 && (static_cast<std::uint8_t>(text[at]) & 0xC0U) == 0x80U) --at;
  return code_point_at(text, at);
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  const bool before = begin > 0 && is_word(code_point_before(text, begin).value);
  const bool behind = end < text.size() && is_word(code_point_at(text, end).value);
  return !before && !behind;
}

std::size_t begin_of_space_before(std::string_view text, std::size_t end) {
  while (end > 0) {
    const CodePoint c = code_point_before(text, end);
    if (!is_space_code_point(c.value)) break;
    end -= c.size;
  }
  return end;
}

std::size_t end_of_space_behind(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const CodePoint c = code_point_at(text, begin);
    if (!is_space_code_point(c.value)) break;
    begin += c.size;
  }
  return begin;
}

}  // namespace

std::int32_t AddedTokens::child(std::int32_t node, char byte) const {
  std::int32_t at = nodes_[static_cast<std::size_t>(node)].first_child;
  while (at >= 0 && nodes_[static_cast<std::size_t>(at)].byte != byte) {
    at = nodes_[static_cast<std::size_t>(at)].sibling;
  }
  return at;
}

void AddedTokens::add(AddedToken token) {
  std::int32_t node = 0;
  for (const char byte : token.content) {
    std::int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<std::int32_t>(nodes_.size());
      Node& parent = nodes_[static_cast<std::size_t>(node)];
      const Node made{.sibling = parent.first_child, .byte = byte};
      parent.first_child = next;
      nodes_.push_back(made);
      if (node == 0) roots_[static_cast<std::uint8_t>(byte)] = next;
    }
    node = next;
  }
  Node& end = nodes_[static_cast<std::size_t>(node)];
  if (end.token >= 0) return;
  end.token = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at) const {
  const AddedToken* longest = nullptr;
  std::int32_t node = roots_[static_cast<std::uint8_t>(text[at])];
  while (node > 0) {
    const std::int32_t token = nodes_[static_cast<std::size_t>(node)].token;
    if (token >= 0) longest = &tokens_[static_cast<std::size_t>(token)];
    if (++at >= text.size()) break;
    node = child(node, text[at]);
  }
  return longest;
}

void AddedTokens::find(std::string_view text, std::vector<Part>& parts) const {
  parts.clear();
  std::size_t begin = 0;  // of what no part covers
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = longest_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t first = at, end = at + token->content.size();
    at = end;
    if (token->single_word && !stands_alone(text, first, end)) continue;
    if (token->lstrip) first = std::max(begin_of_space_before(text, first), begin);
    if (token->rstrip) end = end_of_space_behind(text, end);
    if (begin < first) parts.push_back({begin, first, -1});
    // The space it takes may have gone to the token before, and it may have been that space.
    if (first < end) parts.push_back({first, end, token->id});
    begin = end;
  }
  if (begin < text.size()) parts.push_back({begin, text.size(), -1});
}

}  // namespace zeroth
