#include "policy/families/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

namespace zeroth {
namespace {

constexpr double kDefaultTheta = 10000.0;

double read_above(const JsonReader& json, std::string_view key, double fallback, double bound) {
  const double value = json.get_double(key, fallback);
  if (!(value > bound)) json.fail(key, "a number above " + json_number(bound));
  return value;
}

/// yarn's "0.1 ln(s) + 1" with a weight.
double yarn_mscale(double factor, double weight) {
  return factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

/// The object that describes the scaling, whichever key holds it; nothing for plain rope.
std::optional<JsonReader> find_parameters(const JsonReader& json) {
  if (json.has("rope_scaling") && json.has("rope_parameters") &&
      json.child("rope_scaling").value() != json.child("rope_parameters").value()) {
    json.fail("rope_scaling", "what rope_parameters says, or nothing beside it");
  }
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.has(key)) continue;
    JsonReader parameters = json.child(key);
    for (const std::string& name : parameters.keys()) {
      if (parameters.child(name).value().is_object()) {
        parameters.fail(name, "a value (parameters by layer type are not supported)");
      }
    }
    return parameters;
  }
  return std::nullopt;
}

std::string read_type(const JsonReader& parameters) {
  if (!parameters.has("rope_type")) return parameters.get_string("type", "default");
  const std::string type = parameters.get_string("rope_type");
  if (parameters.get_string("type", type) != type) {
    parameters.fail("type", "\"" + type + "\", as rope_type says, or nothing beside it");
  }
  return type;
}

/// `key` of config.json or of its rope parameters; said twice, it has to be the same.
double read_either(const JsonReader& json, const std::optional<JsonReader>& parameters,
                   std::string_view key, double fallback) {
  if (!parameters || !parameters->has(key)) return json.get_double(key, fallback);
  const double inside = parameters->get_double(key);
  if (json.get_double(key, inside) != inside) {
    json.fail(key, json_number(inside) + ", as " + parameters->path() + " says");
  }
  return inside;
}

/// The reader at whose `key` a wrong value stands.
const JsonReader& place_of(const JsonReader& json, const std::optional<JsonReader>& parameters,
                           std::string_view key) {
  return parameters && parameters->has(key) ? *parameters : json;
}

std::vector<double> plain_frequencies(double theta, std::int64_t dim) {
  std::vector<double> inv_freq(static_cast<std::size_t>(dim / 2));
  for (std::size_t i = 0; i < inv_freq.size(); ++i) {
    inv_freq[i] = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
  }
  return inv_freq;
}

/// The pair (as a real number) that turns `num_rotations` times over the original context.
double yarn_correction_dim(double num_rotations, double dim, double theta,
                           double original_positions) {
  return dim * std::log(original_positions / (num_rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(theta));
}

/// Pairs that turn often keep their frequency, those that turn less than once are slowed by
/// `factor`, a linear ramp lies between.
void apply_yarn(const JsonReader& parameters, double theta, std::int64_t max_positions,
                RopeReading& out) {
  RopeConfig& rope = out.rope;
  const double dim = static_cast<double>(rope.dim);
  const double original = read_above(parameters, "original_max_position_embeddings",
                                     static_cast<double>(max_positions), 0.0);
  const double factor = read_above(
      parameters, "factor", std::max(1.0, static_cast<double>(max_positions) / original), 0.0);
  const double beta_fast = read_above(parameters, "beta_fast", 32.0, 0.0);
  const double beta_slow = read_above(parameters, "beta_slow", 1.0, 0.0);
  if (beta_fast < beta_slow) parameters.fail("beta_fast", "at least beta_slow");

  double low = yarn_correction_dim(beta_fast, dim, theta, original);
  double high = yarn_correction_dim(beta_slow, dim, theta, original);
  if (parameters.get_bool("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1.0);
  if (low == high) high += 0.001;  // a step, without a division by zero
  for (std::size_t i = 0; i < rope.inv_freq.size(); ++i) {
    const double slowed = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    rope.inv_freq[i] *= slowed / factor + (1.0 - slowed);
  }

  const double mscale = parameters.get_double("mscale", 0.0);
  const double mscale_all_dim = parameters.get_double("mscale_all_dim", 0.0);
  if (mscale < 0.0) parameters.fail("mscale", "a number of at least 0");
  if (mscale_all_dim < 0.0) parameters.fail("mscale_all_dim", "a number of at least 0");
  if (parameters.has("attention_factor")) {
    rope.attention_factor = read_above(parameters, "attention_factor", 1.0, 0.0);
  } else if (mscale != 0.0 && mscale_all_dim != 0.0) {
    rope.attention_factor = yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all_dim);
  } else {
    rope.attention_factor = yarn_mscale(factor, 1.0);
  }
  if (mscale_all_dim != 0.0) {
    out.softmax_scale_factor = std::pow(yarn_mscale(factor, mscale_all_dim), 2);
  }
}

/// Waves longer than the original context / low_freq_factor are slowed by `factor`, those shorter
/// than the context / high_freq_factor are kept, those between are mixed.
void apply_llama3(const JsonReader& parameters, RopeConfig& rope) {
  const double factor = read_above(parameters, "factor", 0.0, 0.0);
  const double low_factor = read_above(parameters, "low_freq_factor", 0.0, 0.0);
  const double high_factor = read_above(parameters, "high_freq_factor", 0.0, low_factor);
  const double original = read_above(parameters, "original_max_position_embeddings", 0.0, 0.0);
  for (double& inv_freq : rope.inv_freq) {
    const double turns = original * inv_freq / (2.0 * std::numbers::pi);
    const double kept = std::clamp((turns - low_factor) / (high_factor - low_factor), 0.0, 1.0);
    inv_freq *= (1.0 - kept) / factor + kept;
  }
}

}  // namespace

std::int64_t read_rotary_width(const JsonReader& json, std::int64_t head_dim,
                               std::optional<double> fallback) {
  constexpr std::string_view kKey = "partial_rotary_factor";
  const std::optional<JsonReader> parameters = find_parameters(json);
  const double share = read_either(json, parameters, kKey, fallback.value_or(1.0));
  const JsonReader& place = place_of(json, parameters, kKey);
  if (!fallback && share != 1.0) {
    place.fail(kKey, "1 (this family rotates whole heads)");
  }
  if (!(share > 0.0 && share <= 1.0)) place.fail(kKey, "above 0 and at most 1");
  // As transformers cuts it: towards zero.
  const auto width = static_cast<std::int64_t>(static_cast<double>(head_dim) * share);
  if (width < 2 || width % 2 != 0) {
    place.fail(kKey, "a share of head_dim (" + std::to_string(head_dim) + ") that is even");
  }
  return width;
}

RopeReading read_rope(const JsonReader& json, std::int64_t dim,
                      std::int64_t max_position_embeddings) {
  const std::optional<JsonReader> parameters = find_parameters(json);
  const double theta = read_either(json, parameters, "rope_theta", kDefaultTheta);
  if (!(theta > 1.0)) place_of(json, parameters, "rope_theta").fail("rope_theta", "above 1");

  RopeReading out;
  out.rope.dim = dim;
  out.rope.theta = theta;
  out.rope.inv_freq = plain_frequencies(theta, dim);
  const std::string type = parameters ? read_type(*parameters) : "default";
  if (type == "linear") {
    const double factor = read_above(*parameters, "factor", 0.0, 0.0);
    for (double& inv_freq : out.rope.inv_freq) inv_freq /= factor;
    out.rope.scaling = RopeScaling::linear;
  } else if (type == "yarn") {
    out.rope.scaling = RopeScaling::yarn;
    apply_yarn(*parameters, theta, max_position_embeddings, out);
  } else if (type == "llama3") {
    out.rope.scaling = RopeScaling::llama3;
    apply_llama3(*parameters, out.rope);
  } else if (type != "default") {
    parameters->fail(parameters->has("rope_type") ? "rope_type" : "type",
                     "one of default, linear, yarn, llama3");
  }
  return out;
}

}  // namespace zeroth
