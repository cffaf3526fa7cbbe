#include "rollout/worker_request.h"

#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace zeroth {
namespace {

std::int64_t parse_int64(std::string_view text, const char* field) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  throw HttpRefusal(kBadRequest,
                    std::string(field) + ": expected a whole number of at least 0, got \"" +
                        std::string(text.substr(0, 40)) + "\"",
                    field);
}

}  // namespace

const std::string& required_header(const HttpHead& head, const char* name) {
  const std::string* value = head.headers.find(name);
  if (value == nullptr || head.headers.count(name) != 1) {
    throw HttpRefusal(kBadRequest, std::string(name) + ": expected one such header field", name);
  }
  return *value;
}

const std::string& required_sha256(const HttpHead& head, const char* name) {
  const std::string& value = required_header(head, name);
  if (value.size() != 64 || value.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw HttpRefusal(kBadRequest,
                      std::string(name) + ": expected 64 lower-case hexadecimal digits", name);
  }
  return value;
}

WeightsLabel label_of(const HttpHead& head) {
  WeightsLabel label{
      .learner = required_header(head, kLearnerHeader),
      .epoch = parse_int64(required_header(head, kEpochHeader), kEpochHeader),
      .version = parse_int64(std::string_view(head.path).substr(kWeightsPath.size()), "version"),
      .sha256 = required_sha256(head, kSha256Header)};
  const std::string& expected = required_sha256(head, kLabelHeader);
  if (const std::string actual = label_sha256(label); actual != expected) {
    throw HttpRefusal(kUnprocessable, "expected a label of hash " + expected + ", got " + actual,
                      kLabelHeader);
  }
  return label;
}

}  // namespace zeroth
