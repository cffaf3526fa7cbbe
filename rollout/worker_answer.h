// What a worker answered, judged by its status and headers: a refusal for good, a request that is
// too large, anything else that is no success. Internal to the remote engine.
#pragma once

#include <stdexcept>
#include <string>

#include "system/http.h"

namespace zeroth {

/// A worker that will not serve this learner however often it is asked.
struct WorkerRefused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// More groups in one request than the worker takes, or the client in one answer.
struct WorkerTooLarge : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws for any answer but 200.
void expect_ok(const HttpResponse& response, const std::string& what);

/// InputError, naming `source`, unless the answer has the header field `name` with `expected`.
void expect_header(const HttpResponse& response, const char* name, const std::string& expected,
                   const std::string& source);

}  // namespace zeroth
