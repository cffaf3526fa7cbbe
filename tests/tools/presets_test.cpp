#include "tools/presets.h"

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "policy/weights.h"
#include "system/error.h"

namespace zeroth {
namespace {

ModelConfig model_of(const std::string& name) {
  boost::json::object json = preset_config(name);
  if (!json.contains("vocab_size")) json["vocab_size"] = 263;
  return parse_model_config(boost::json::serialize(json), name);
}

TEST_CASE("presets: every one is a model of a family, and names itself so", "[tools]") {
  const std::vector<std::string> names = preset_names();
  CHECK(names.size() >= 29);
  CHECK(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    INFO(name);
    const ModelConfig model = model_of(name);
    CHECK(preset_config(name).at("architectures").as_array().size() == 1);
    CHECK(is_published_preset(name) == !name.starts_with("tiny-"));
    CHECK(count_parameters(model).total > 0);
  }
}

TEST_CASE("presets: parameters are those that are published", "[tools]") {
  // Exact ones are the sums of the tensors' sizes that the hub shows for the checkpoints.
  for (const auto& [name, total] :
       std::map<std::string, std::int64_t>{{"qwen2.5-0.5b", 494'032'768},
                                           {"qwen2.5-1.5b", 1'543'714'304},
                                           {"qwen2.5-3b", 3'085'938'688},
                                           {"qwen2.5-7b", 7'615'616'512},
                                           {"qwen3-0.6b", 596'049'920},
                                           {"qwen3-1.7b", 1'720'574'976},
                                           {"qwen3-8b", 8'190'735'360},
                                           {"qwen3-30b-a3b", 30'532'122'624},
                                           {"llama-3.2-1b", 1'235'814'400},
                                           {"llama-3.2-3b", 3'212'749'824},
                                           {"llama-3.1-8b", 8'030'261'248},
                                           {"deepseek-v2-lite", 15'706'484'224}}) {
    INFO(name);
    CHECK(count_parameters(model_of(name)).total == total);
  }
}

TEST_CASE("presets: totals and active parameters agree with reports, as far as those are rounded",
          "[tools]") {
  struct Published {
    std::string name;
    double total, active;  // 1e9; active without the embedding table
    double tolerance;      // of both, relative
  };
  // arXiv:2405.04434 (V2, V2-Lite), 2412.19437 (V3), 2507.20534 (K2), 2502.16982 (Moonlight),
  // 2508.06471 (GLM-4.5, whose totals hold the layer for multi-token prediction, too) and
  // 2505.09388 (Qwen3).
  for (const Published& published : std::vector<Published>{{"deepseek-v2-lite", 15.7, 2.4, 0.025},
                                                           {"deepseek-v2", 236, 21, 0.02},
                                                           {"deepseek-v3", 671, 37, 0.02},
                                                           {"kimi-k2", 1040, 32, 0.02},
                                                           {"moonlight", 16, 2.24, 0.2},
                                                           {"glm-4.5", 355, 32, 0.05},
                                                           {"glm-4.5-air", 106, 12, 0.1},
                                                           {"qwen3-30b-a3b", 30.5, 3.3, 0.1},
                                                           {"qwen3-235b-a22b", 235, 22, 0.02}}) {
    const ParameterCounts counts = count_parameters(model_of(published.name));
    const double total = static_cast<double>(counts.total) / 1e9;
    const double active = static_cast<double>(counts.active - counts.embedding) / 1e9;
    INFO(published.name << ": " << total << " total, " << active << " active");
    CHECK(std::abs(total / published.total - 1) < published.tolerance);
    CHECK(std::abs(active / published.active - 1) < published.tolerance);
  }
}

TEST_CASE("presets: the counts are those of the weights", "[tools]") {
  for (const char* name : {"tiny-mla-moe", "tiny-dense"}) {
    const ModelConfig model = model_of(name);
    const Weights weights(model);
    const ParameterCounts counts = count_parameters(model);
    CHECK(counts.total == weights.num_parameters());
    CHECK(counts.active == weights.num_active_parameters());
    CHECK(counts.floats == static_cast<std::int64_t>(weights.values().size()));
    CHECK(counts.embedding == 263 * 128);
  }
}

TEST_CASE("presets: a name that is none is answered with the nearest and all", "[tools]") {
  CHECK_THROWS_WITH(preset_config("qwen2.5-0.5"),
                    Catch::Contains("--preset: expected qwen2.5-0.5b, another of deepseek-v2, ") &&
                        Catch::Contains("tiny-mla-moe, or a config.json"));
}

}  // namespace
}  // namespace zeroth
