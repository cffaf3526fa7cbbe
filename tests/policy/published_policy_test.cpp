#include "policy/published_policy.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <map>

#include "policy/safetensors.h"
#include "system/error.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

struct Learner {
  explicit Learner(const char* json, Dtype dtype, std::uint64_t seed = 7,
                   MlaPrefix prefix = MlaPrefix::absorbed)
      : config(parse_model_config(json, "tiny")), weights(config) {
    set_mla_prefix(config, prefix, "tiny");
    config.eos_token_ids.push_back(9);  // as of a generation_config.json
    initialize_weights(weights, config, seed);
    packed = std::make_unique<PackedPolicy>(config, weights, dtype, true);
  }
  ModelConfig config;
  Weights weights;
  std::unique_ptr<PackedPolicy> packed;
};

bool same_weights(const PackedPolicy& a, const PackedPolicy& b) {
  const auto x = a.weights().values(), y = b.weights().values();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

}  // namespace

TEST_CASE("published policy: what is read is what was published", "[policy]") {
  for (const char* json : {testing::kTinyDeepseek, testing::kTinyQwen2}) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      const testing::TemporaryDirectory directory;
      const Learner learner(json, dtype);
      publish(*learner.packed, directory.path());
      const PublishedPolicy read(directory.path());
      CHECK(read.packed().dtype() == dtype);
      CHECK(read.packed().config().hf_json == learner.config.hf_json);
      CHECK(read.packed().config().eos_token_ids == learner.config.eos_token_ids);
      CHECK(learner.config.eos_token_ids.size() >= 2);
      CHECK(same_weights(read.packed(), *learner.packed));
    }
  }
}

TEST_CASE("published policy: another version is taken over, another model is not", "[policy]") {
  const testing::TemporaryDirectory first, second, other, type, prefix;
  const Learner learner(testing::kTinyDeepseek, Dtype::float32, 7);
  const Learner later(testing::kTinyDeepseek, Dtype::float32, 8);
  publish(*learner.packed, first.path());
  publish(*later.packed, second.path());
  publish(*Learner(testing::kTinyQwen2, Dtype::float32).packed, other.path());
  publish(*Learner(testing::kTinyDeepseek, Dtype::bfloat16).packed, type.path());
  const Learner expanded(testing::kTinyDeepseek, Dtype::float32, 7, MlaPrefix::expanded);
  publish(*expanded.packed, prefix.path());
  CHECK(PublishedPolicy(prefix.path()).packed().config().layers[0].attention.mla_prefix ==
        MlaPrefix::expanded);
  PublishedPolicy policy(first.path());
  const std::int64_t version = policy.packed().version();
  CHECK_FALSE(policy.update(other.path()));
  CHECK_FALSE(policy.update(type.path()));
  CHECK_FALSE(policy.update(prefix.path()));
  CHECK(policy.packed().version() == version);
  CHECK(same_weights(policy.packed(), *learner.packed));
  CHECK(policy.update(second.path()));
  CHECK(policy.packed().version() == version + 1);
  CHECK(same_weights(policy.packed(), *later.packed));
}

TEST_CASE("published policy: what is missing or wrong is named and changes nothing", "[policy]") {
  const testing::TemporaryDirectory good, bad;
  const Learner learner(testing::kTinyDeepseek, Dtype::float32);
  publish(*learner.packed, good.path());
  PublishedPolicy policy(good.path());
  const auto refused = [&](std::vector<TensorBytes> tensors,
                           std::map<std::string, std::string> metadata) {
    write_safetensors(bad.path() / "model.safetensors", std::move(tensors), metadata);
    std::string field;
    try {
      policy.update(bad.path());
    } catch (const InputError& error) {
      field = error.parts().field;
    }
    CHECK_THROWS_AS(PublishedPolicy(bad.path()), InputError);
    CHECK(same_weights(policy.packed(), *learner.packed));
    return field;
  };
  const std::map<std::string, std::string> metadata{{"config.json", learner.config.hf_json},
                                                    {"dtype", "float32"},
                                                    {"mla_prefix", "absorbed"},
                                                    {"eos_token_ids", R"({"eos_token_id": 9})"}};
  const std::vector<TensorBytes> tensors = tensor_bytes(learner.weights);
  const auto without = [&](const char* key) {
    auto changed = metadata;
    changed.erase(key);
    return changed;
  };
  const auto with = [&](const char* key, const char* value) {
    auto changed = metadata;
    changed[key] = value;
    return changed;
  };
  for (const char* key : {"config.json", "dtype", "mla_prefix", "eos_token_ids"})
    CHECK(refused(tensors, without(key)) == std::string("__metadata__.") + key);
  for (const char* key : {"dtype", "mla_prefix"})
    CHECK(refused(tensors, with(key, "fp8")) == std::string("__metadata__.") + key);
  refused(tensors, with("config.json", "{"));
  std::vector<TensorBytes> short_of_one(tensors.begin(), tensors.end() - 1);
  CHECK(refused(short_of_one, metadata) == tensors.back().name);
  std::vector<TensorBytes> turned = tensors;
  for (TensorBytes& tensor : turned) {
    if (tensor.name.ends_with("lm_head.weight")) std::swap(tensor.shape[0], tensor.shape[1]);
  }
  CHECK(refused(turned, metadata) == "lm_head.weight");
  std::vector<float> not_finite(static_cast<std::size_t>(num_elements(tensors[0])), 1.0F);
  not_finite[3] = std::numeric_limits<float>::infinity();
  std::vector<TensorBytes> infinite = tensors;
  infinite[0].bytes = std::as_bytes(std::span(not_finite));
  CHECK(refused(infinite, metadata) == tensors[0].name + "[3]");
}

TEST_CASE("published policy: a file that promises more than it holds is refused at once",
          "[policy]") {
  const Learner learner(testing::kTinyDeepseek, Dtype::float32);
  const std::map<std::string, std::pair<boost::json::value, std::string>> promises = {
      {"max_position_embeddings", {std::int64_t{1} << 31, "max_position_embeddings"}},
      {"num_hidden_layers", {1000, ""}},
      {"n_routed_experts", {4096, ""}},
      {"vocab_size", {1 << 24, "model.embed_tokens.weight"}}};
  for (const auto& [key, promise] : promises) {
    const testing::TemporaryDirectory directory;
    boost::json::object config = boost::json::parse(learner.config.hf_json).as_object();
    config[key] = promise.first;
    write_safetensors(directory / "model.safetensors", tensor_bytes(learner.weights),
                      {{"config.json", boost::json::serialize(config)},
                       {"dtype", "float32"},
                       {"mla_prefix", "absorbed"},
                       {"eos_token_ids", R"({"eos_token_id": 9})"}});
    INFO(key);
    try {
      const PublishedPolicy policy(directory.path());
      FAIL("was taken");
    } catch (const InputError& error) {
      CHECK(error.parts().field == promise.second);
    }
  }
}

}  // namespace zeroth
