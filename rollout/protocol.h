// What learner and workers say to each other over HTTP, as values and bytes.
//
//   POST /v1/rollouts            request: JSON (RolloutsRequest); answer: application/octet-stream,
//                                u32 groups, then each group's record (group_record.h)
//   PUT  /v1/weights/{version}   body: a published policy (policy/published_policy.h)
//   GET  /health                 JSON (WorkerHealth)
//   GET  /metrics                Prometheus text
//
// What the wire damages, doubles or mixes up must be found: the bodies of requests and of answers
// with 200 come with their SHA-256 in a header, the label of weights with its own, and the answers
// to the first two say what they answer. Goal: token ids in, token ids out; floats travel as their
// bits or as digits that read back as the same bits. Non-goal: any text of prompts and completions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rollout/engine.h"

namespace zeroth {

inline constexpr std::string_view kRolloutsPath = "/v1/rollouts";
inline constexpr std::string_view kWeightsPath = "/v1/weights/";  // the version follows
inline constexpr std::string_view kHealthPath = "/health";
inline constexpr std::string_view kMetricsPath = "/metrics";

inline constexpr const char* kSha256Header = "Zeroth-SHA256";       // of the body, hexadecimal
inline constexpr const char* kEpochHeader = "Zeroth-Epoch";         // WeightsLabel::epoch
inline constexpr const char* kLearnerHeader = "Zeroth-Learner";     // WeightsLabel::learner
inline constexpr const char* kLabelHeader = "Zeroth-Label-SHA256";  // label_sha256()
// Of an answer: label_sha256() of the weights that were taken, the hash of the request's body.
inline constexpr const char* kAnswersHeader = "Zeroth-Answers";

/// Which weights a worker holds. A later epoch (a learner that started later) supersedes an earlier
/// one; within an epoch versions only rise.
struct WeightsLabel {
  std::string learner;     // the run, as its settings' hash
  std::int64_t epoch = 0;  // microseconds since 1970 at which the learner started
  std::int64_t version = 0;
  std::string sha256;  // of the published file, hexadecimal
};

/// SHA-256 of the label's four members, in their order, each followed by a newline; hexadecimal.
std::string label_sha256(const WeightsLabel& label);

/// Groups to be sampled from the weights of this hash and from no others.
struct RolloutsRequest {
  std::string weights_sha256;
  std::int64_t policy_version = 0;  // what the completions are labelled with
  SamplingParams sampling;
  std::vector<GenerateRequest> requests;
};

/// std::invalid_argument for a seed above 2^63 - 1, which JSON's integers do not hold.
std::string write_rollouts_request(const RolloutsRequest& request);

/// InputError with `source` and the key for anything that is missing, mistyped, unknown or out of
/// range: at least one request, prompts of at least one token, num_generations and max_new_tokens
/// at least 1, a finite temperature of at least 0, top_k at least 0, top_p above 0 to 1, min_p 0
/// to 1.
///
/// top_k, top_p and min_p stand in a request that uses them and in no other: a worker from before
/// there were truncations serves what it knows and refuses the rest by the key's name.
RolloutsRequest read_rollouts_request(std::string_view json, const std::string& source);

std::int64_t num_completions(const RolloutsRequest& request);
/// Completions times max_new_tokens: the most tokens that the request can ask for; saturates.
std::int64_t most_tokens(const RolloutsRequest& request);

std::string write_groups(std::span<const Group> groups);

/// The groups that answer `request`. InputError for damaged bytes, and for what does not answer it:
/// another number of groups or completions, a completion above max_new_tokens, another
/// policy_version, sampling_logprobs that are missing or not asked for.
std::vector<Group> read_groups(std::string_view bytes, const RolloutsRequest& request,
                               const std::string& source);

/// What a worker says of itself.
struct WorkerHealth {
  std::string version;                          // of the program
  std::string isa;                              // instruction set, for the reader
  std::map<std::string, std::string> numerics;  // rollout_numerics() by dtype
  std::optional<WeightsLabel> weights;          // none before the first publish
  std::int64_t queued = 0;                      // requests that wait
};

std::string write_health(const WorkerHealth& health);
/// InputError naming the key that is missing or mistyped.
WorkerHealth read_health(std::string_view json, const std::string& source);

}  // namespace zeroth
