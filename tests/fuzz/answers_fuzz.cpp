// Two answers, a line each: compared both ways, and each with itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rewards/math/equality.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using zeroth::math::compare_answers;
  using zeroth::math::Comparison;
  using zeroth::math::Reason;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const std::string_view x = text.substr(0, line);
  const std::string_view y = line == std::string_view::npos ? x : text.substr(line + 1);
  const Comparison forth = compare_answers(x, y), back = compare_answers(y, x);
  const bool by_percent =
      forth.reason == Reason::percent_as_number || back.reason == Reason::percent_as_number;
  if (forth.equal != back.equal && !by_percent) std::abort();
  return 0;
}
