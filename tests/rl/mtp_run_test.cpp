// Runs of zeroth sft that train the multi-token-prediction modules of a checkpoint, and such as
// leave them alone.
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "rl/train_sft.h"
#include "system/error.h"
#include "tests/rl/tiny_run.h"
#include "tests/support/kernel_context.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Modules = std::vector<MtpConfig>;

struct Runs {
  explicit Runs(const Modules& mtp)
      : model(
            testing::write_tiny_mtp_checkpoint(directory / "model", testing::kTinyDeepseek, mtp)) {}

  fs::path run(const std::string& name, double weight, const TrainingHooks& hooks = {},
               bool resume = false) const {
    SftConfig c;
    c.model_name_or_path = (directory / "model").string();
    c.output_dir = (directory / name).string();
    c.dataset_name = "sums";
    c.max_steps = 6;
    c.save_steps = 2;
    c.learning_rate = 0.02;
    c.per_device_train_batch_size = 5;
    c.mtp_loss_weight = weight;
    if (resume) c.resume_from_checkpoint = "latest";
    const Context context = testing::context_of(best_isa(), 1);
    Collectives alone;
    train_sft(context, alone, c, testing::sums_problems(), testing::plain_template(), hooks);
    return directory / name / "checkpoint-6";
  }

  testing::TemporaryDirectory directory;
  ModelConfig model;
};

std::vector<double> logged(const fs::path& checkpoint, const std::string& name) {
  std::ifstream in(checkpoint.parent_path() / "metrics.jsonl");
  std::vector<double> values;
  for (std::string line; std::getline(in, line);) {
    const boost::json::object metrics = boost::json::parse(line).as_object();
    if (metrics.contains(name)) values.push_back(metrics.at(name).to_number<double>());
  }
  return values;
}

// The tensors of the second checkpoint that differ from the first's.
std::map<std::string, bool> changed(const fs::path& before, const fs::path& after) {
  const SafetensorsFile a(before / "model.safetensors"), b(after / "model.safetensors");
  REQUIRE(a.tensors().size() == b.tensors().size());
  std::map<std::string, bool> differs;
  for (const TensorBytes& tensor : a.tensors())
    differs[tensor.name] = !std::ranges::equal(tensor.bytes, b.tensor(tensor.name).bytes);
  return differs;
}

}  // namespace

TEST_CASE("sft: with mtp_loss_weight the modules learn and are saved", "[rl]") {
  for (const auto& mtp :
       std::vector<std::vector<MtpConfig>>{{{.copied_embedding = true, .copied_head = true}},
                                           {{.own_embedding = true, .own_head = true}, {}}}) {
    const Runs runs(mtp);
    const fs::path end = runs.run("run", 0.5);
    const std::vector<double> losses = logged(end, "mtp_loss");
    REQUIRE(losses.size() == 6);
    CHECK(losses.back() < losses.front());
    for (const auto& [name, differs] : changed(runs.directory / "model", end)) {
      INFO(name);
      const bool may_rest =
          name.find(".experts.") != std::string::npos || name.ends_with("e_score_correction_bias");
      if (is_mtp_tensor(name, runs.model) && !may_rest) CHECK(differs);
    }
    const SafetensorsFile saved(end / "model.safetensors");
    if (mtp[0].copied_embedding) {
      CHECK(std::ranges::equal(saved.tensor("model.layers.2.embed_tokens.weight").bytes,
                               saved.tensor("model.embed_tokens.weight").bytes));
    }
  }
}

TEST_CASE("sft: without mtp_loss_weight the modules stay as they were, byte for byte", "[rl]") {
  const Runs runs(Modules{{.own_embedding = true, .copied_head = true}});
  const fs::path end = runs.run("run", 0.0);
  CHECK(logged(end, "mtp_loss").empty());
  std::size_t modules = 0;
  for (const auto& [name, differs] : changed(runs.directory / "model", end)) {
    INFO(name);
    if (!is_mtp_tensor(name, runs.model)) continue;
    CHECK_FALSE(differs);
    ++modules;
  }
  CHECK(modules > 30);
}

TEST_CASE("sft: a run that trains modules and is stopped and resumed ends in the same bytes",
          "[rl]") {
  const Runs runs(Modules{{.own_embedding = true}});
  const fs::path whole = runs.run("whole", 0.3);
  auto step = std::make_shared<std::int64_t>(0);
  runs.run("parts", 0.3,
           {.on_step = [=](std::int64_t s, std::span<const Metric>) { *step = s; },
            .stop_requested = [=] { return *step >= 3; },
            .note = {}});
  const fs::path parts = runs.run("parts", 0.3, {}, true);
  for (const auto& [name, differs] : changed(whole, parts)) {
    INFO(name);
    CHECK_FALSE(differs);
  }
  const fs::path other = runs.run("other", 0.31);
  CHECK(changed(whole, other).at("model.layers.2.eh_proj.weight"));
}

TEST_CASE("sft: mtp_loss_weight on a checkpoint without modules is refused", "[rl]") {
  const Runs runs(Modules{});
  CHECK_THROWS_WITH(runs.run("run", 0.3), Catch::Contains("num_nextn_predict_layers") &&
                                              Catch::Contains("mtp_loss_weight"));
  CHECK_NOTHROW(runs.run("without", 0.0));
}

}  // namespace zeroth
