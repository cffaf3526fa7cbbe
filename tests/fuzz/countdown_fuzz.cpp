// An answer after a line of the target and the numbers: whatever is written, the verdict does not
// depend on the numbers' order, leaving numbers over allows no less, and a number more is one that
// the answer does not use.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/math/arithmetic.h"
#include "rewards/rules/countdown_reward.h"

namespace {

using namespace zeroth;

constexpr std::size_t kMostNumbers = 16;

void require(bool condition) {
  if (!condition) std::abort();
}

// The numbers of a line, in lowest terms; the first is the target.
CountdownGame game_of(std::string_view line) {
  CountdownGame game{.target = "24", .numbers = {}};
  bool first = true;
  while (!line.empty() && game.numbers.size() < kMostNumbers) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    const std::optional<std::string> number = math::lowest_terms(word);
    if (!number) continue;
    if (first) {
      game.target = *number;
    } else {
      game.numbers.push_back(*number);
    }
    first = false;
  }
  return game;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  CountdownGame game = game_of(text.substr(0, line));
  const std::string_view answer = line == std::string_view::npos ? "" : text.substr(line + 1);
  const bool solved = solves_countdown(answer, game, false);
  const bool with_subset = solves_countdown(answer, game, true);
  require(!solved || with_subset);
  std::reverse(game.numbers.begin(), game.numbers.end());
  require(solves_countdown(answer, game, false) == solved);
  game.numbers.push_back("7");
  require(!solved || !solves_countdown(answer, game, false));
  return 0;
}
