// Added tokens (<|im_end|>, <think>, …): found in the text before anything else is.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

struct AddedToken {
  std::string content;  // what is looked for
  std::int32_t id = 0;
  bool single_word = false;  // not beside a character of a word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and behind it
};

/// Finds the leftmost, of those the longest, of a set of texts.
class AddedTokens {
 public:
  void add(AddedToken token);  // of equal contents the first counts
  bool empty() const { return tokens_.empty(); }

  struct Part {
    std::size_t begin, end;
    std::int32_t id;  // -1: no added token
  };
  /// `text`, not empty, in parts: added tokens and what lies between them, in order. With lstrip or
  /// rstrip parts may overlap, as they do in `tokenizers`. `text` must be UTF-8 where a token has
  /// one of the flags.
  void find(std::string_view text, std::vector<Part>& parts) const;

 private:
  struct Node {
    std::int32_t token = -1;        // index that ends here
    std::int32_t first_child = -1;  // of nodes_
    std::int32_t sibling = -1;
    char byte = 0;
  };
  std::int32_t child(std::int32_t node, char byte) const;
  const AddedToken* longest_at(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<std::int32_t, 256> roots_{};  // child of the root; 0: none
};

}  // namespace zeroth
