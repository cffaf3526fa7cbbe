// Damaged copies of a text for the tests of parsers: bytes flipped, replaced, cut, doubled and
// inserted, by seed.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace zeroth::testing {

/// `text` after one to four random edits. The same seed gives the same text on every machine.
inline std::string mutate(std::string_view text, unsigned seed) {
  std::mt19937 random(seed);  // its numbers are fixed by the standard; distributions are not
  const auto below = [&](std::size_t n) { return n == 0 ? std::size_t{0} : random() % n; };
  static constexpr std::string_view kTelling = "{}[]\",:0-9eE.\\\n \xff";
  std::string out(text);
  const std::size_t num_edits = 1 + below(4);
  for (std::size_t edit = 0; edit < num_edits; ++edit) {
    const std::size_t at = below(out.size());
    const std::size_t length = 1 + below(below(8) == 0 ? out.size() : 8);
    switch (below(6)) {
      case 0:
        if (!out.empty())
          out[at] = static_cast<char>(static_cast<unsigned char>(out[at]) ^ (1U << below(8)));
        break;
      case 1:
        if (!out.empty()) out[at] = kTelling[below(kTelling.size())];
        break;
      case 2:
        out.erase(at, length);
        break;
      case 3:
        out.insert(at, 1, kTelling[below(kTelling.size())]);
        break;
      case 4:
        out.insert(at, std::string(out, at, length));
        break;
      case 5:
        out.resize(at);
        break;
    }
  }
  return out;
}

}  // namespace zeroth::testing
