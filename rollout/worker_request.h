// What the header of a request to a worker says (protocol.h), and the statuses it is refused with.
// Internal to the worker.
#pragma once

#include <string>

#include "rollout/protocol.h"
#include "system/http.h"

namespace zeroth {

inline constexpr int kBadRequest = 400;
inline constexpr int kUnauthorized = 401;
inline constexpr int kForbidden = 403;
inline constexpr int kNotFound = 404;
inline constexpr int kMethodNotAllowed = 405;
inline constexpr int kConflict = 409;
inline constexpr int kLengthRequired = 411;
inline constexpr int kTooLarge = 413;
inline constexpr int kUnprocessable = 422;
inline constexpr int kInternalError = 500;
inline constexpr int kUnavailable = 503;
inline constexpr int kNoSpace = 507;

/// HttpRefusal unless the field stands there once.
const std::string& required_header(const HttpHead& head, const char* name);
const std::string& required_sha256(const HttpHead& head, const char* name);

/// Of a PUT of weights: what its path and header say, whose hashes have to agree.
WeightsLabel label_of(const HttpHead& head);

}  // namespace zeroth
