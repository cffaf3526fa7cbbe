#include "policy/mesh/collectives.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <limits>
#include <thread>

#include "tests/support/floats.h"
#include "tests/support/ranks.h"

namespace zeroth {
namespace {

using testing::run_ranks;

// What each rank holds after `body`, in the order of the ranks.
template <class Result>
std::vector<Result> results(int size, const std::function<Result(Collectives&)>& body) {
  std::vector<Result> all(static_cast<std::size_t>(size));
  run_ranks(size, [&](Collectives& collectives) {
    all[static_cast<std::size_t>(collectives.rank())] = body(collectives);
  });
  return all;
}

TEST_CASE("collectives: shares are all items in order, and differ by at most one", "[policy]") {
  for (const int size : {1, 2, 3}) {
    run_ranks(size, [&](Collectives& collectives) {
      for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{8}}) {
        std::size_t next = 0;
        bool right = true;
        for (int rank = 0; rank < size; ++rank) {
          const Share share = collectives.share(count, rank);
          right = right && share.begin == next &&
                  share.count() * static_cast<std::size_t>(size) <
                      count + static_cast<std::size_t>(size);
          next = share.end;
        }
        if (!right || next != count) throw std::runtime_error("wrong shares");
      }
    });
  }
}

TEST_CASE("collectives: sums by hand", "[policy]") {
  for (const int size : {1, 2, 3}) {
    const auto floats = results<std::vector<float>>(size, [](Collectives& collectives) {
      const auto r = static_cast<float>(collectives.rank());
      std::vector<float> values{1.0F, r, 10.0F * r, -0.5F};
      collectives.sum(values);
      return values;
    });
    const float sum = size == 1 ? 0.0F : size == 2 ? 1.0F : 3.0F;
    for (const auto& values : floats) {
      CHECK(values == std::vector<float>{static_cast<float>(size), sum, 10.0F * sum,
                                         -0.5F * static_cast<float>(size)});
    }
    const auto integers = results<std::vector<std::int64_t>>(size, [](Collectives& collectives) {
      std::vector<std::int64_t> values{std::int64_t{1} << 40, -collectives.rank()};
      collectives.sum(values);
      return values;
    });
    for (const auto& values : integers) {
      CHECK(values == std::vector<std::int64_t>{size * (std::int64_t{1} << 40),
                                                -static_cast<std::int64_t>(sum)});
    }
  }
}

TEST_CASE("collectives: lengths that no rank count divides, and larger than a segment",
          "[policy]") {
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{1'000'003}}) {
    const auto sums = results<std::vector<std::int64_t>>(3, [&](Collectives& collectives) {
      std::vector<std::int64_t> values(length);
      for (std::size_t i = 0; i < length; ++i)
        values[i] = static_cast<std::int64_t>(i) * (collectives.rank() + 1);
      collectives.sum(values);
      return values;
    });
    bool right = true;
    for (const auto& values : sums) {
      for (std::size_t i = 0; i < length; ++i)
        right = right && values[i] == 6 * static_cast<std::int64_t>(i);
    }
    CHECK(right);
  }
}

TEST_CASE("collectives: a sum of floats has the same bits on every rank and in every run",
          "[policy]") {
  const auto once = [] {
    return results<std::vector<float>>(3, [](Collectives& collectives) {
      std::vector<float> values =
          testing::random_floats(100'000, static_cast<std::uint32_t>(collectives.rank()), 1.0);
      collectives.sum(values);
      return values;
    });
  };
  const auto first = once();
  const auto second = once();
  for (const auto& values : first) CHECK(testing::same_bits(values, first[0]));
  CHECK(testing::same_bits(first[0], second[0]));
  // The control: the three floats added in the order of the ranks are others somewhere.
  std::vector<float> in_order = testing::random_floats(100'000, 0, 1.0);
  for (const std::uint32_t rank : {1, 2}) {
    const auto part = testing::random_floats(100'000, rank, 1.0);
    for (std::size_t i = 0; i < part.size(); ++i) in_order[i] += part[i];
  }
  CHECK_FALSE(testing::same_bits(first[0], in_order));
}

TEST_CASE("collectives: integers wrap around", "[policy]") {
  const auto sums = results<std::vector<std::int64_t>>(2, [](Collectives& collectives) {
    std::vector<std::int64_t> values{std::numeric_limits<std::int64_t>::max()};
    collectives.sum(values);
    return values;
  });
  CHECK(sums[0][0] == -2);
  CHECK(sums[1][0] == -2);
}

TEST_CASE("collectives: gathers parts of any length in the order of the ranks", "[policy]") {
  for (const int size : {1, 2, 3}) {
    const auto gathered = results<std::vector<std::string>>(size, [](Collectives& collectives) {
      // Rank 1 brings nothing, rank 2 more than a megabyte.
      const std::size_t lengths[] = {3, 0, 2'000'000};
      const auto r = static_cast<std::size_t>(collectives.rank());
      return collectives.gather(std::string(lengths[r], static_cast<char>('a' + r)));
    });
    for (const auto& parts : gathered) {
      REQUIRE(parts.size() == static_cast<std::size_t>(size));
      CHECK(parts[0] == "aaa");
      if (size > 1) CHECK(parts[1].empty());
      if (size > 2) CHECK(parts[2] == std::string(2'000'000, 'c'));
    }
    const auto empty = results<std::vector<std::string>>(
        size, [](Collectives& collectives) { return collectives.gather(""); });
    for (const auto& parts : empty)
      CHECK(parts == std::vector<std::string>(static_cast<std::size_t>(size)));
  }
}

TEST_CASE("collectives: from the first, and any", "[policy]") {
  for (const int size : {1, 3}) {
    const auto texts = results<std::string>(size, [](Collectives& collectives) {
      return collectives.from_first("rank " + std::to_string(collectives.rank()));
    });
    for (const auto& text : texts) CHECK(text == "rank 0");
    const auto votes = results<std::string>(size, [&](Collectives& collectives) {
      const bool one = collectives.any(collectives.rank() == size - 1);
      const bool none = collectives.any(false);
      return std::string(one ? "yes" : "no") + (none ? "yes" : "no");
    });
    for (const auto& vote : votes) CHECK(vote == "yesno");
  }
}

TEST_CASE("collectives: a call that waits for a rank that fell silent is broken off", "[policy]") {
  const std::uint16_t port = testing::free_port();
  MeshOptions options = testing::test_mesh_options();
  options.silence = std::chrono::milliseconds(700);
  std::atomic<bool> over{false};
  // Its connections stay open, as those of a stopped process do.
  std::thread silent([&] {
    Mesh mesh(testing::launch_of(1, 2, port), options);
    Collectives collectives(mesh);
    mesh.unwatch();
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  {
    Mesh mesh(testing::launch_of(0, 2, port), options);
    Collectives collectives(mesh);
    std::vector<float> values(1000, 1.0F);
    CHECK_THROWS_WITH(collectives.sum(values), Catch::Contains("no sign of life for 0.7 s"));
    // And none is begun any more.
    CHECK_THROWS_AS(collectives.any(true), LostRank);
  }
  over = true;
  silent.join();
}

}  // namespace
}  // namespace zeroth
