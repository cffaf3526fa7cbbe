#include "rl/trainer_state.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/random.h"
#include "system/error.h"
#include "tests/rl/temporary_directory.h"

namespace zeroth {
namespace {

TrainerState example() {
  return {.step = 40,
          .num_tokens = 123456789012,
          .command = "grpo",
          .seed = std::numeric_limits<std::uint64_t>::max(),
          .num_updates = 320,
          .settings = {{"temperature", "0.9"}, {"reward_funcs", "a,\"b\","}, {"beta", ""}}};
}

TrainerState read(const std::string& text) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "trainer_state.json", std::ios::binary) << text;
  return read_trainer_state(directory.path());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("trainer state: written and read back", "[rl]") {
  const TrainerState state = example();
  const TrainerState again = read(write_trainer_state(state));
  CHECK(again.step == state.step);
  CHECK(again.num_tokens == state.num_tokens);
  CHECK(again.command == state.command);
  CHECK(again.seed == state.seed);
  CHECK(again.num_updates == state.num_updates);
  CHECK(again.settings == state.settings);
}

TEST_CASE("trainer state: an evaluation that is due is kept, and old states have none", "[rl]") {
  TrainerState state = example();
  CHECK(write_trainer_state(state).find("evaluation_due") == std::string::npos);
  CHECK_FALSE(read(write_trainer_state(state)).evaluation_due);
  state.evaluation_due = true;
  CHECK(read(write_trainer_state(state)).evaluation_due);
}

TEST_CASE("trainer state: what cannot be written is refused", "[rl]") {
  TrainerState state = example();
  state.num_tokens = -1;
  CHECK_THROWS_AS(write_trainer_state(state), std::invalid_argument);
  state = example();
  state.step = -1;
  CHECK_THROWS_AS(write_trainer_state(state), std::invalid_argument);
}

TEST_CASE("trainer state: a wrong key is named", "[rl]") {
  const std::string text = write_trainer_state(example());
  CHECK_THROWS_WITH(read(replaced(text, "\"step\": 40", "\"step\": -40")), Catch::Contains("step"));
  CHECK_THROWS_WITH(read(replaced(text, "\"seed\"", "\"sead\"")), Catch::Contains("seed"));
  CHECK_THROWS_WITH(read(replaced(text, "320", "\"320\"")), Catch::Contains("num_updates"));
  CHECK_THROWS_AS(read(replaced(text, "320", "3.5")), InputError);
  CHECK_THROWS_WITH(read(replaced(text, "\"0.9\"", "0.9")),
                    Catch::Contains("settings.temperature"));
  CHECK_THROWS_WITH(read(replaced(text, "\"settings\"", "\"setting\"")),
                    Catch::Contains("settings"));
  CHECK_THROWS_AS(read(""), InputError);
}

TEST_CASE("trainer state: mutated text parses or is an input error", "[rl]") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::string text = write_trainer_state(example());
    const Philox::Counter words = Philox::block({seed, 0, 0, 0}, {5, 6});
    const std::size_t at = words[0] % text.size();
    if (words[1] % 3 == 0) text[at] = static_cast<char>(words[2]);
    if (words[1] % 3 == 1) text.erase(at, 1 + words[2] % 40);
    if (words[1] % 3 == 2) text.insert(at, 1, static_cast<char>(words[2]));
    try {
      const TrainerState state = read(text);
      CHECK(state.step >= 0);
    } catch (const InputError& error) {
      CHECK_FALSE(error.parts().source.empty());
    }
  }
}

}  // namespace zeroth
