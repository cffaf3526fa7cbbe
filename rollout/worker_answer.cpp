#include "rollout/worker_answer.h"

#include <algorithm>
#include <cstddef>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

constexpr std::size_t kLongestMessage = 300;

// The message of {"error":{"message":…}}, or the body's beginning, fit for a terminal.
std::string message_of(const HttpResponse& response) {
  std::string text = response.body.substr(0, std::size_t{64} << 10);
  try {
    text = JsonReader::parse(text, "answer").child("error").get_string("message");
  } catch (const InputError&) {  // whoever answers, it is no worker
  }
  text.resize(std::min(text.size(), kLongestMessage));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

void expect_ok(const HttpResponse& response, const std::string& what) {
  if (response.status == 200) return;
  const std::string text =
      what + ": " + std::to_string(response.status) + " " + message_of(response);
  if (response.status == 401 || response.status == 403) throw WorkerRefused(text);
  if (response.status == 413) throw WorkerTooLarge(text);
  throw std::runtime_error(text);
}

void expect_header(const HttpResponse& response, const char* name, const std::string& expected,
                   const std::string& source) {
  const std::string* actual = response.headers.find(name);
  if (actual != nullptr && *actual == expected) return;
  throw InputError({.source = source,
                    .field = name,
                    .expected = expected,
                    .actual = actual == nullptr ? "nothing" : *actual});
}

}  // namespace zeroth
