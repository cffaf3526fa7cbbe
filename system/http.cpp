#include "system/http.h"

#include <algorithm>
#include <array>
#include <boost/beast/http/status.hpp>
#include <boost/json/object.hpp>

#include "system/ascii.h"
#include "system/json.h"

namespace zeroth {
namespace {

bool equal_names(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return to_lower(x) == to_lower(y);
         });
}

// RFC 9110, 5.6.2: what a field name is made of.
bool is_token_character(char c) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
         kOther.find(c) != std::string_view::npos;
}

bool is_value_character(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

}  // namespace

void HttpHeaders::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

const std::string* HttpHeaders::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (equal_names(field.first, name)) return &field.second;
  }
  return nullptr;
}

std::size_t HttpHeaders::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields_.begin(), fields_.end(),
                    [&](const Field& field) { return equal_names(field.first, name); }));
}

std::optional<std::string_view> HttpHead::bearer_token() const {
  constexpr std::string_view kScheme = "Bearer ";
  if (headers.count("Authorization") != 1) return std::nullopt;
  std::string_view value = *headers.find("Authorization");
  if (!equal_names(value.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  if (value.empty()) return std::nullopt;
  return value;
}

HttpResponse json_response(int status, std::string json) {
  return {
      .status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(json)};
}

HttpResponse error_response(int status, std::string_view message, std::string_view field) {
  boost::json::object error{{"message", message}};
  if (!field.empty()) error["field"] = field;
  return json_response(status, write_json(boost::json::object{{"error", std::move(error)}}));
}

HttpRefusal::HttpRefusal(HttpResponse response)
    : std::runtime_error("HTTP " + std::to_string(response.status) + ": " + response.body),
      response_(std::move(response)) {
  check_http_response(response_);
}

HttpRefusal::HttpRefusal(int status, std::string_view message, std::string_view field)
    : HttpRefusal(error_response(status, message, field)) {}

std::string_view http_reason(int status) {
  namespace http = boost::beast::http;
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  const auto reason =
      http::obsolete_reason(known == http::status::unknown ? http::status::unknown : known);
  return reason.empty() ? "Unknown" : std::string_view(reason.data(), reason.size());
}

void check_http_headers(const HttpHeaders& headers) {
  constexpr std::array<std::string_view, 4> kOurs = {"Content-Length", "Transfer-Encoding",
                                                     "Connection", "Date"};
  for (const auto& [name, value] : headers) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_character)) {
      throw std::invalid_argument("HTTP: not a field name: " + name);
    }
    if (!std::all_of(value.begin(), value.end(), is_value_character)) {
      throw std::invalid_argument("HTTP: a control character in the value of " + name);
    }
    for (const std::string_view ours : kOurs) {
      if (equal_names(name, ours)) {
        throw std::invalid_argument("HTTP: " + name + " is written by the library");
      }
    }
  }
}

void check_http_response(const HttpResponse& response) {
  if (response.status < 200 || response.status > 599) {
    throw std::invalid_argument("HTTP: not the status of an answer: " +
                                std::to_string(response.status));
  }
  check_http_headers(response.headers);
}

}  // namespace zeroth
