#include "datasets/order.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "datasets/random_stream.h"

namespace zeroth {
namespace {

constexpr std::uint64_t kOrderStream = 0x6f72646572;  // "order"

// The paper's bound falls geometrically with rounds / log2(size); the constant serves tiny sizes,
// where a permutation has few rounds to spread over.
std::size_t num_rounds(std::uint64_t size) {
  return 32 + 6 * static_cast<std::size_t>(std::bit_width(size));
}

}  // namespace

KeyedPermutation::KeyedPermutation(std::uint64_t size, std::uint64_t seed, std::uint64_t stream)
    : size_(size) {
  if (size == 0 || size > (std::uint64_t{1} << 63)) {
    throw std::invalid_argument("KeyedPermutation: size must be in [1, 2^63]");
  }
  rounds_.resize(num_rounds(size));
  RandomStream random({.seed = seed, .stream = stream});
  for (Round& round : rounds_) {
    round.pivot = random.next_below(size);
    round.key = random.next();
  }
}

std::uint64_t KeyedPermutation::at(std::uint64_t index) const {
  if (index >= size_) throw std::invalid_argument("KeyedPermutation::at: index is out of range");
  for (const Round& round : rounds_) {
    const std::uint64_t partner =
        round.pivot >= index ? round.pivot - index : round.pivot + size_ - index;
    // Both of a pair look at the same number, so they either change places or stay.
    const std::uint64_t coin = mix_bits(round.key ^ mix_bits(std::max(index, partner)));
    if ((coin >> 63) != 0) index = partner;
  }
  return index;
}

ProblemOrder::ProblemOrder(std::size_t num_problems, std::uint64_t seed)
    : num_problems_(num_problems), seed_(seed) {
  if (num_problems == 0) throw std::invalid_argument("ProblemOrder: there are no problems");
}

std::size_t ProblemOrder::at(std::uint64_t position) const {
  const RandomKey key{.seed = seed_, .stream = kOrderStream, .index = epoch(position)};
  const std::uint64_t epoch_seed = RandomStream(key).next();
  const KeyedPermutation permutation(num_problems_, epoch_seed, kOrderStream);
  return static_cast<std::size_t>(permutation.at(position % num_problems_));
}

}  // namespace zeroth
