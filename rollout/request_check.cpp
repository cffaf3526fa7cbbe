#include "rollout/request_check.h"

#include <stdexcept>
#include <string>

#include "rollout/sampler.h"

namespace zeroth {
namespace {

void check_request(const GenerateRequest& request, const std::string& which,
                   const SamplingParams& sampling, const ModelConfig& config) {
  if (request.prompt.empty()) throw std::invalid_argument(which + " has an empty prompt");
  if (request.num_generations < 1) {
    throw std::invalid_argument(which + " asks for " + std::to_string(request.num_generations) +
                                " completions");
  }
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (sampling.max_new_tokens > config.max_position_embeddings - prompt) {
    throw std::invalid_argument(
        which + " has " + std::to_string(prompt) + " prompt tokens and may get " +
        std::to_string(sampling.max_new_tokens) + " more, above max_position_embeddings " +
        std::to_string(config.max_position_embeddings));
  }
  for (const std::int32_t token : request.prompt) {
    if (token >= 0 && token < config.vocab_size) continue;
    throw std::invalid_argument(which + " has the token " + std::to_string(token) +
                                ", outside the vocabulary of " + std::to_string(config.vocab_size));
  }
}

}  // namespace

void check_requests(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                    const ModelConfig& config) {
  const Sampler checks_the_numbers(
      sampling.temperature,
      {.top_k = sampling.top_k, .top_p = sampling.top_p, .min_p = sampling.min_p});
  if (sampling.max_new_tokens < 1) {
    throw std::invalid_argument("generate: max_new_tokens " +
                                std::to_string(sampling.max_new_tokens) + ": at least 1");
  }
  for (std::size_t i = 0; i < requests.size(); ++i)
    check_request(requests[i], "generate: request " + std::to_string(i), sampling, config);
}

}  // namespace zeroth
