// The lines of a text, with their numbers for messages.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace zeroth {

struct TextLine {
  std::string_view text;   // of the text that was given, without the line's end
  std::size_t number = 0;  // from 1

  /// Nothing but spaces, tabs and carriage returns.
  bool is_blank() const { return text.find_first_not_of(" \t\r") == std::string_view::npos; }
};

/// What stands before each '\n', and behind the last one where that is something.
inline std::vector<TextLine> lines_of(std::string_view text) {
  std::vector<TextLine> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back({.text = text.substr(0, end), .number = lines.size() + 1});
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace zeroth
