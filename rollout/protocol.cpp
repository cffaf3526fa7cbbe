#include "rollout/protocol.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "rollout/group_record.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

constexpr std::int64_t kMostUint32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kMostInt32 = std::numeric_limits<std::int32_t>::max();

std::int64_t get_in_range(const JsonReader& json, std::string_view key, std::int64_t least,
                          std::int64_t most) {
  const std::int64_t value = json.get_int64(key);
  if (value < least || value > most)
    json.fail(key, std::to_string(least) + " to " + std::to_string(most));
  return value;
}

void refuse_unknown_keys(const JsonReader& json, const std::vector<std::string>& known) {
  for (const std::string& key : json.keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    json.fail(key, "no such key; the nearest is " + nearest_name(key, known));
  }
}

GenerateRequest read_request(const JsonReader& json) {
  refuse_unknown_keys(json, {"prompt", "num_generations", "step", "problem"});
  GenerateRequest request;
  for (const JsonReader& token : json.child("prompt").elements()) {
    const std::int64_t id = token.as_int64();
    if (id < 0 || id > kMostInt32) token.fail("a token id");
    request.prompt.push_back(static_cast<std::int32_t>(id));
  }
  if (request.prompt.empty()) json.fail("prompt", "at least one token");
  request.num_generations = get_in_range(json, "num_generations", 1, kMostInt32);
  request.step = static_cast<std::uint32_t>(get_in_range(json, "step", 0, kMostUint32));
  request.problem = static_cast<std::uint32_t>(get_in_range(json, "problem", 0, kMostUint32));
  return request;
}

void read_truncation(const JsonReader& json, SamplingParams& sampling) {
  if (json.has("top_k"))
    sampling.top_k = get_in_range(json, "top_k", 0, std::numeric_limits<std::int64_t>::max());
  sampling.top_p = json.get_double("top_p", sampling.top_p);
  if (!(sampling.top_p > 0.0 && sampling.top_p <= 1.0)) json.fail("top_p", "above 0, at most 1");
  sampling.min_p = json.get_double("min_p", sampling.min_p);
  if (!(sampling.min_p >= 0.0 && sampling.min_p <= 1.0)) json.fail("min_p", "0 to 1");
}

[[noreturn]] void refuse_groups(const std::string& source, const std::string& field,
                                const std::string& expected, std::int64_t actual) {
  throw InputError(
      {.source = source, .field = field, .expected = expected, .actual = std::to_string(actual)});
}

std::string as_asked(std::int64_t value) {
  return std::to_string(value) + ", as was asked for";
}

void check_group(const Group& group, const RolloutsRequest& request, std::size_t index,
                 const std::string& source) {
  const std::string name = "groups[" + std::to_string(index) + "]";
  const auto completions = static_cast<std::int64_t>(group.completions.size());
  if (completions != request.requests[index].num_generations) {
    refuse_groups(source, name + ".completions", as_asked(request.requests[index].num_generations),
                  completions);
  }
  for (const Completion& completion : group.completions) {
    const auto tokens = static_cast<std::int64_t>(completion.tokens.size());
    if (tokens > request.sampling.max_new_tokens) {
      refuse_groups(source, name + ".tokens",
                    "at most " + std::to_string(request.sampling.max_new_tokens), tokens);
    }
    const std::int64_t truncated = request.sampling.truncates() ? tokens : 0;
    const auto sampling_logprobs = static_cast<std::int64_t>(completion.sampling_logprobs.size());
    if (sampling_logprobs != truncated) {
      refuse_groups(source, name + ".sampling_logprobs", as_asked(truncated), sampling_logprobs);
    }
    if (completion.policy_version != request.policy_version) {
      refuse_groups(source, name + ".policy_version", as_asked(request.policy_version),
                    completion.policy_version);
    }
  }
}

}  // namespace

std::string label_sha256(const WeightsLabel& label) {
  return sha256_hex(label.learner + "\n" + std::to_string(label.epoch) + "\n" +
                    std::to_string(label.version) + "\n" + label.sha256 + "\n");
}

std::string write_rollouts_request(const RolloutsRequest& request) {
  if (request.sampling.seed > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw std::invalid_argument("rollouts request: seed above 2^63 - 1");
  boost::json::array requests;
  for (const GenerateRequest& r : request.requests) {
    requests.push_back({{"prompt", boost::json::array(r.prompt.begin(), r.prompt.end())},
                        {"num_generations", r.num_generations},
                        {"step", r.step},
                        {"problem", r.problem}});
  }
  const SamplingParams& sampling = request.sampling;
  const SamplingParams whole;
  boost::json::object json{{"weights_sha256", request.weights_sha256},
                           {"policy_version", request.policy_version},
                           {"temperature", sampling.temperature}};
  if (sampling.top_k != whole.top_k) json["top_k"] = sampling.top_k;
  if (sampling.top_p != whole.top_p) json["top_p"] = sampling.top_p;
  if (sampling.min_p != whole.min_p) json["min_p"] = sampling.min_p;
  json["max_new_tokens"] = sampling.max_new_tokens;
  json["seed"] = static_cast<std::int64_t>(sampling.seed);
  json["stream"] = sampling.stream;
  json["requests"] = std::move(requests);
  return write_json(json);
}

RolloutsRequest read_rollouts_request(std::string_view text, const std::string& source) {
  const JsonReader json = JsonReader::parse(text, source);
  refuse_unknown_keys(json, {"weights_sha256", "policy_version", "temperature", "top_k", "top_p",
                             "min_p", "max_new_tokens", "seed", "stream", "requests"});
  RolloutsRequest request;
  request.weights_sha256 = json.get_string("weights_sha256");
  request.policy_version = json.get_int64("policy_version");
  request.sampling.temperature = json.get_double("temperature");
  if (!std::isfinite(request.sampling.temperature) || request.sampling.temperature < 0)
    json.fail("temperature", "a finite number of at least 0");
  read_truncation(json, request.sampling);
  request.sampling.max_new_tokens = get_in_range(json, "max_new_tokens", 1, kMostInt32);
  request.sampling.seed = static_cast<std::uint64_t>(
      get_in_range(json, "seed", 0, std::numeric_limits<std::int64_t>::max()));
  request.sampling.stream =
      static_cast<std::uint32_t>(get_in_range(json, "stream", 0, kMostUint32));
  for (const JsonReader& element : json.child("requests").elements())
    request.requests.push_back(read_request(element));
  if (request.requests.empty()) json.fail("requests", "at least one");
  return request;
}

std::int64_t num_completions(const RolloutsRequest& request) {
  // Each is below 2^31, and no memory holds 2^32 requests: the sum does not overflow.
  std::int64_t completions = 0;
  for (const GenerateRequest& r : request.requests) completions += r.num_generations;
  return completions;
}

std::int64_t most_tokens(const RolloutsRequest& request) {
  const std::int64_t completions = num_completions(request);
  const std::int64_t each = request.sampling.max_new_tokens;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  return completions > most / each ? most : completions * each;
}

std::string write_groups(std::span<const Group> groups) {
  const auto count = static_cast<std::uint32_t>(groups.size());
  std::string bytes(sizeof(count), '\0');
  std::memcpy(bytes.data(), &count, sizeof(count));
  for (const Group& group : groups) append_group_record(bytes, group);
  return bytes;
}

std::vector<Group> read_groups(std::string_view text, const RolloutsRequest& request,
                               const std::string& source) {
  std::uint32_t count = 0;
  if (text.size() < sizeof(count)) {
    throw InputError({.source = source,
                      .field = "groups",
                      .expected = "4 bytes",
                      .actual = std::to_string(text.size())});
  }
  std::memcpy(&count, text.data(), sizeof(count));
  if (count != request.requests.size()) {
    refuse_groups(source, "groups", as_asked(static_cast<std::int64_t>(request.requests.size())),
                  count);
  }
  auto bytes = std::as_bytes(std::span(text.substr(sizeof(count))));
  std::vector<Group> groups;
  for (std::size_t i = 0; i < request.requests.size(); ++i) {
    groups.push_back(read_group_record(bytes, source));
    check_group(groups.back(), request, i, source);
  }
  if (!bytes.empty())
    refuse_groups(source, "bytes after the groups", "0", static_cast<std::int64_t>(bytes.size()));
  return groups;
}

std::string write_health(const WorkerHealth& health) {
  boost::json::object numerics;
  for (const auto& [dtype, fingerprint] : health.numerics) numerics[dtype] = fingerprint;
  boost::json::object json{{"status", "ok"},          {"version", health.version},
                           {"isa", health.isa},       {"numerics", std::move(numerics)},
                           {"queued", health.queued}, {"weights", nullptr}};
  if (health.weights) {
    json["weights"] = {{"learner", health.weights->learner},
                       {"epoch", health.weights->epoch},
                       {"policy_version", health.weights->version},
                       {"sha256", health.weights->sha256}};
  }
  return write_json(json);
}

WorkerHealth read_health(std::string_view text, const std::string& source) {
  const JsonReader json = JsonReader::parse(text, source);
  WorkerHealth health;
  health.version = json.get_string("version");
  health.isa = json.get_string("isa");
  const JsonReader numerics = json.child("numerics");
  for (const std::string& dtype : numerics.keys())
    health.numerics[dtype] = numerics.get_string(dtype);
  health.queued = json.get_int64("queued");
  if (json.has("weights")) {
    const JsonReader weights = json.child("weights");
    health.weights = WeightsLabel{.learner = weights.get_string("learner"),
                                  .epoch = weights.get_int64("epoch"),
                                  .version = weights.get_int64("policy_version"),
                                  .sha256 = weights.get_string("sha256")};
  }
  return health;
}

}  // namespace zeroth
