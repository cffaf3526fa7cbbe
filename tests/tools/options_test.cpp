#include "tools/options.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "rl/config.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

// A directory of the test's own with the recipes it writes.
class Recipes {
 public:
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return (directory_ / name).string();
  }
  std::string path() const { return directory_.path().string(); }

 private:
  testing::TemporaryDirectory directory_;
};

const CommandSyntax kGrpo{.name = "grpo", .summary = "train", .positional = ""};

template <class Config>
ResolvedOptions resolve_arguments(std::vector<std::string> arguments, Config& config,
                                  const CommandSyntax& syntax) {
  arguments.insert(arguments.begin(), syntax.name);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return resolve(static_cast<int>(argv.size()), argv.data(), config, syntax);
}

// The keys that have no default a run could use.
const std::vector<std::string> kNeeded = {"--model_name_or_path=m", "--dataset_name=d",
                                          "--output_dir=o", "--reward_funcs=accuracy"};

ResolvedOptions resolve_grpo(const std::vector<std::string>& arguments, GrpoConfig& config) {
  std::vector<std::string> all = kNeeded;
  all.insert(all.end(), arguments.begin(), arguments.end());
  return resolve_arguments(all, config, kGrpo);
}

InputError::Parts grpo_error(const std::vector<std::string>& arguments) {
  GrpoConfig config;
  try {
    resolve_grpo(arguments, config);
  } catch (const InputError& error) {
    return error.parts();
  }
  FAIL("no InputError");
  return {};
}

std::string origin_of(const ResolvedOptions& options, const std::string& key) {
  for (const Setting& setting : options.settings) {
    if (setting.key == key) return setting.origin;
  }
  return "no such key";
}

TEST_CASE("options: a flag goes before the recipe, the recipe before the default", "[tools]") {
  const Recipes recipes;
  const std::string recipe =
      recipes.write("recipe.toml", "num_generations = 7\n\nmax_steps = 30\n");
  GrpoConfig config;
  const auto options = resolve_grpo({"--config", recipe, "--max_steps", "40"}, config);
  CHECK(config.num_generations == 7);
  CHECK(config.max_steps == 40);
  CHECK(config.max_completion_length == 56);
  CHECK(origin_of(options, "num_generations") == recipe + ":1");
  CHECK(origin_of(options, "max_steps") == "--max_steps");
  CHECK(origin_of(options, "max_completion_length") == "default");
}

TEST_CASE("options: every type, as a flag and in a recipe, gives the same value", "[tools]") {
  GrpoConfig by_flag;
  resolve_arguments(
      {"--seed", "-0", "--beta=0.04", "--loss_type", "dr_grpo", "--log_completions",
       "--epsilon_high", "0.28", "--model_name_or_path=m", "--dataset_name=d", "--output_dir=o",
       "--reward_funcs", "accuracy,format", "--reward_weights=1,0.1"},
      by_flag, kGrpo);
  const Recipes recipes;
  const std::string recipe = recipes.write("recipe.toml", R"(seed = 0
beta = 0.04
loss_type = "dr_grpo"
log_completions = true
epsilon_high = 0.28
reward_funcs = ["accuracy", "format"]
reward_weights = [1, 0.1]
model_name_or_path = "m"
dataset_name = "d"
output_dir = "o"
)");
  GrpoConfig by_recipe;
  resolve_arguments({"--config=" + recipe}, by_recipe, kGrpo);
  for (const GrpoConfig* config : {&by_flag, &by_recipe}) {
    CHECK(config->seed == 0);
    CHECK(config->beta == 0.04);
    CHECK(config->loss_type == "dr_grpo");
    CHECK(config->log_completions);
    CHECK(config->upper_epsilon() == 0.28);
    CHECK(config->reward_funcs == std::vector<std::string>{"accuracy", "format"});
    CHECK(config->reward_weights == std::vector<double>{1.0, 0.1});
  }
}

TEST_CASE("options: dashes in a flag's name are underscores, in its value they stay", "[tools]") {
  GrpoConfig config;
  const auto options = resolve_grpo({"--max-steps=9", "--isa", "portable", "--dataset-split=a-b",
                                     "--log-completions=false", "--dry-run"},
                                    config);
  CHECK(config.max_steps == 9);
  CHECK(config.dataset_split == "a-b");
  CHECK_FALSE(config.log_completions);
  CHECK(options.dry_run);
  GrpoConfig other;
  CHECK_FALSE(resolve_grpo({}, other).dry_run);
}

TEST_CASE("options: an unknown flag is refused with the nearest one", "[tools]") {
  const auto parts = grpo_error({"--num-generation", "4"});
  CHECK(parts.source == "--num_generation");
  CHECK(parts.expected == "a known flag, such as --num_generations");
}

TEST_CASE("options: an unknown key of a recipe is refused with file, line and the nearest key",
          "[tools]") {
  const Recipes recipes;
  const std::string recipe = recipes.write("r.toml", "# note\nmax_steps = 3\nlerning_rate = 1.0\n");
  const auto parts = grpo_error({"--config", recipe});
  CHECK(parts.source == recipe + ":3");
  CHECK(parts.field == "lerning_rate");
  CHECK(parts.expected == "a known key, such as learning_rate");
}

TEST_CASE("options: another toolkit's name is explained, not accepted", "[tools]") {
  CHECK(grpo_error({"--n_samples_per_prompt=8"}).expected ==
        "a known flag, such as --num_generations (n_samples_per_prompt in OpenRLHF)");
  CHECK(grpo_error({"--rollout.n", "8"}).expected ==
        "a known flag, such as --num_generations (rollout.n in verl)");
  const Recipes recipes;
  const std::string recipe =
      recipes.write("verl.toml", "[actor_rollout_ref.actor]\nclip_ratio_high = 0.28\n");
  const auto parts = grpo_error({"--config", recipe});
  CHECK(parts.source == recipe + ":2");
  CHECK(parts.field == "actor_rollout_ref.actor.clip_ratio_high");
  CHECK(parts.expected == "a known key, such as epsilon_high (clip_ratio_high in verl)");
}

TEST_CASE("options: a flag of the wrong type names what was expected and what stood there",
          "[tools]") {
  const auto integer = grpo_error({"--max_steps", "ten"});
  CHECK(integer.source == "--max_steps");
  CHECK(integer.expected == "an integer");
  CHECK(integer.actual == "\"ten\"");
  CHECK(grpo_error({"--max_steps", "1.5"}).expected == "an integer");
  CHECK(grpo_error({"--max_steps", "99999999999999999999"}).expected == "an integer");
  CHECK(grpo_error({"--learning_rate", "nan"}).expected == "a number");
  CHECK(grpo_error({"--learning_rate", "1e-3x"}).expected == "a number");
  CHECK(grpo_error({"--learning_rate="}).actual == "nothing");
  CHECK(grpo_error({"--reward_weights", "1,x"}).actual == "\"x\"");
  CHECK(grpo_error({"--log_completions=yes"}).expected == "true or false");
  CHECK(grpo_error({"--loss_type", "gspo"}).expected == "one of grpo, bnpo, dapo, dr_grpo");
}

TEST_CASE("options: a recipe's value of the wrong type names file, line, key and the value",
          "[tools]") {
  struct Case {
    std::string line, field, expected, actual;
  };
  const std::vector<Case> cases = {
      {"max_steps = \"3\"", "max_steps", "an integer", "\"3\""},
      {"max_steps = 3.5", "max_steps", "an integer", "3.5"},
      {"learning_rate = inf", "learning_rate", "a number", "inf"},
      {"log_completions = 1", "log_completions", "true or false", "1"},
      {"reward_funcs = [1]", "reward_funcs", "a list of texts", "1"},
      {"output_dir = {a = 1}", "output_dir", "a text", "a TOML table"},
      {"isa = \"amx\"", "isa", "one of auto, portable, avx2, avx512", "\"amx\""},
  };
  const Recipes recipes;
  for (const Case& wrong : cases) {
    const std::string recipe = recipes.write("wrong.toml", "\n" + wrong.line + "\n");
    GrpoConfig config;
    try {
      resolve_arguments({"--config", recipe}, config, kGrpo);
      FAIL("accepted " + wrong.line);
    } catch (const InputError& error) {
      CHECK(error.parts().source == recipe + ":2");
      CHECK(error.parts().field == wrong.field);
      CHECK(error.parts().expected == wrong.expected);
      CHECK(error.parts().actual == wrong.actual);
    }
  }
}

TEST_CASE("options: broken TOML is refused with its line, a missing recipe with its name",
          "[tools]") {
  const Recipes recipes;
  const std::string recipe = recipes.write("broken.toml", "max_steps = 3\nseed = = 4\n");
  CHECK(grpo_error({"--config", recipe}).source == recipe + ":2");
  const std::string twice = recipes.write("twice.toml", "seed = 3\nseed = 4\n");
  CHECK(grpo_error({"--config", twice}).source == twice + ":2");
  const std::string missing = recipes.path() + "/missing.toml";
  CHECK(grpo_error({"--config", missing}).source == missing);
  CHECK(grpo_error({"--config", recipes.path()}).source == recipes.path());
}

TEST_CASE("options: a flag without its value does not take the next flag for it", "[tools]") {
  CHECK(grpo_error({"--max_steps", "--seed=1"}).actual == "the flag --seed=1");
  CHECK(grpo_error({"--max_steps"}).actual == "nothing");
  CHECK(grpo_error({"--config"}).expected == "a TOML file");
}

TEST_CASE("options: a value may hold line breaks, equal signs and a leading dash", "[tools]") {
  SampleConfig config;
  const CommandSyntax sample{.name = "sample", .summary = "say", .positional = ""};
  const std::string prompt = "--a=b\n" + std::string(200000, 'x') + "\n";
  resolve_arguments({"--model_name_or_path=m", "--prompt=" + prompt}, config, sample);
  CHECK(config.prompt == prompt);
  resolve_arguments({"--model_name_or_path=m", "--prompt", "-1+2=\n"}, config, sample);
  CHECK(config.prompt == "-1+2=\n");
}

TEST_CASE("options: a flag given twice is refused", "[tools]") {
  CHECK(grpo_error({"--seed=1", "--seed=2"}).source == "--seed");
}

TEST_CASE("options: an argument fills the positional key once, and no other command's", "[tools]") {
  const CommandSyntax inspect{
      .name = "inspect", .summary = "look", .positional = "model_name_or_path"};
  InspectConfig config;
  const auto options = resolve_arguments({"runs/a", "--json"}, config, inspect);
  CHECK(config.model_name_or_path == "runs/a");
  CHECK(config.json);
  CHECK(origin_of(options, "model_name_or_path") == "argument");
  CHECK_THROWS_AS(resolve_arguments({"a", "b"}, config, inspect), InputError);
  CHECK_THROWS_AS(resolve_arguments({"a", "--model_name_or_path=b"}, config, inspect), InputError);
  CHECK(grpo_error({"stray"}).actual == "\"stray\"");
}

TEST_CASE("options: arguments fill a positional list, all of them", "[tools]") {
  const CommandSyntax score{.name = "score", .summary = "score", .positional = "reward_funcs"};
  ScoreConfig config;
  const auto options = resolve_arguments({"a", "--dataset_name=d", "b", "c"}, config, score);
  CHECK(config.reward_funcs == std::vector<std::string>{"a", "b", "c"});
  CHECK(origin_of(options, "reward_funcs") == "argument");
  ScoreConfig other;
  CHECK_THROWS_AS(resolve_arguments({"--dataset_name=d", "--reward_funcs=a", "b"}, other, score),
                  InputError);
}

TEST_CASE("options: a failed check names where the value came from", "[tools]") {
  CHECK(grpo_error({"--epsilon", "1.5"}).source == "--epsilon");
  const Recipes recipes;
  const std::string recipe = recipes.write("r.toml", "\nreward_weights = [1, 2, 3]\n");
  const auto weights = grpo_error({"--config", recipe});
  CHECK(weights.source == recipe + ":2");
  CHECK(weights.field == "reward_weights");
  CHECK(weights.actual == "3 numbers");
  GrpoConfig config;
  try {
    resolve_arguments({}, config, kGrpo);
    FAIL("accepted a run without a model");
  } catch (const InputError& error) {
    CHECK(error.parts().source == "zeroth grpo");
    CHECK(error.parts().field == "model_name_or_path");
  }
}

TEST_CASE("options: what is saved says where each value came from", "[tools]") {
  const Recipes recipes;
  const std::string recipe = recipes.write("r.toml", "learning_rate = 1\n");
  GrpoConfig config;
  const std::string toml = to_toml_with_provenance(
      resolve_grpo({"--config", recipe, "--dataset_split=a\"b\\\n"}, config));
  CHECK(toml.find("learning_rate = 1.0  # " + recipe + ":1\n") != std::string::npos);
  CHECK(toml.find("num_generations = 100  # default\n") != std::string::npos);
  CHECK(toml.find("dataset_split = \"a\\\"b\\\\\\u000A\"  # --dataset_split\n") !=
        std::string::npos);
  CHECK(toml.find("# epsilon_high is not set  # default\n") != std::string::npos);
}

TEST_CASE("options: what is saved, read back, is the same configuration", "[tools]") {
  const Recipes recipes;
  GrpoConfig first;
  const auto options = resolve_grpo({"--learning_rate=1.2345678901234567e-05", "--seed=123",
                                     "--epsilon_high=0.3", "--reward_weights=0.1"},
                                    first);
  const std::string saved = recipes.write("config.toml", to_toml_with_provenance(options));
  GrpoConfig second;
  const auto again = resolve_arguments({"--config", saved}, second, kGrpo);
  CHECK(second.learning_rate == 1.2345678901234567e-05);
  REQUIRE(again.settings.size() == options.settings.size());
  for (std::size_t i = 0; i < again.settings.size(); ++i) {
    CHECK(again.settings[i].key == options.settings[i].key);
    CHECK(again.settings[i].value == options.settings[i].value);
  }
}

TEST_CASE("options: help lists every key with its type, default and meaning", "[tools]") {
  GrpoConfig config;
  const auto options = resolve_arguments({"--help"}, config, kGrpo);
  FieldCollector collector;
  visit_fields(collector, config);
  CHECK(collector.fields().size() > 40);
  for (const Field& field : collector.fields()) {
    CHECK(options.help.find("\n  --" + field.key + "  (") != std::string::npos);
    CHECK(options.help.find(field.help) != std::string::npos);
  }
  CHECK(options.help.find("--temperature  (a number; default 1.0)") != std::string::npos);
  CHECK(options.help.find("--epsilon_high  (a number; unset)") != std::string::npos);
}

TEST_CASE("options: a list of integers from a flag, a recipe and back", "[tools]") {
  const CommandSyntax syntax{.name = "eval", .summary = "", .positional = ""};
  const std::vector<std::string> needed = {"--model_name_or_path=m", "--dataset_name=d",
                                           "--reward_funcs=accuracy", "--num_generations=64"};
  const auto with = [&](const std::string& argument) {
    std::vector<std::string> all = needed;
    all.push_back(argument);
    return all;
  };
  EvalConfig config;
  const auto options = resolve_arguments(with("--pass_at=1,4,64"), config, syntax);
  CHECK(config.pass_at == std::vector<std::int64_t>{1, 4, 64});
  const Recipes recipes;
  EvalConfig again;
  resolve_arguments({"--config", recipes.write("a.toml", to_toml_with_provenance(options))}, again,
                    syntax);
  CHECK(again.pass_at == config.pass_at);
  CHECK_THROWS_WITH(resolve_arguments(with("--pass_at=1,2.5"), config, syntax),
                    "--pass_at: expected a list of integers, got \"2.5\"");
  const std::string wrong = recipes.write("b.toml", "pass_at = [1, 2.5]\n");
  CHECK_THROWS_WITH(resolve_arguments(with("--config=" + wrong), config, syntax),
                    Catch::Contains("pass_at: expected a list of integers"));
}

TEST_CASE("options: another name of a flag is the flag, on the command line only", "[tools]") {
  const CommandSyntax syntax{.name = "sample",
                             .summary = "",
                             .positional = "prompt",
                             .aliases = {{"n", "num_generations"}}};
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--n", "3"}, std::vector<std::string>{"--n=3"}}) {
    SampleConfig config;
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--model_name_or_path", "m", "hello"});
    const auto options = resolve_arguments(all, config, syntax);
    CHECK(config.num_generations == 3);
    CHECK(origin_of(options, "num_generations") == "--num_generations");
  }
  SampleConfig config;
  CHECK_THROWS_WITH(resolve_arguments({"x", "--n=3", "--num_generations=3"}, config, syntax),
                    Catch::Contains("--num_generations") && Catch::Contains("once"));
  CHECK_THROWS_WITH(resolve_arguments({"x", "--n", "three"}, config, syntax),
                    Catch::Contains("--num_generations") && Catch::Contains("an integer"));
  const Recipes recipes;
  CHECK_THROWS_WITH(
      resolve_arguments({"x", "--config", recipes.write("n.toml", "n = 3\n")}, config, syntax),
      Catch::Contains("a known key"));
  CHECK(grpo_error({"--n=3"}).actual == "an unknown one");  // a command without the name
  CHECK(resolve_arguments({"--help"}, config, syntax)
            .help.find("--num_generations, --n  (an integer; default 1)") != std::string::npos);
}

TEST_CASE("options: a damaged recipe is read or refused, never anything else", "[tools]") {
  const std::string whole =
      "model_name_or_path = \"m\"\ndataset_name = \"d\"\noutput_dir = \"o\"\nseed = 12\n"
      "reward_funcs = [\"accuracy\", \"format\"]\nreward_weights = [1.0, 0.1]\nbeta = 1e-3\n";
  const Recipes recipes;
  int refused = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    const std::string damaged = testing::mutate(whole, seed);
    GrpoConfig config;
    try {
      resolve_arguments({"--config", recipes.write("damaged.toml", damaged)}, config, kGrpo);
    } catch (const InputError&) {
      ++refused;
    }
  }
  CHECK(refused > 300);
  CHECK(refused < 1000);
}

}  // namespace
}  // namespace zeroth
