// The URL of a server, as an HTTP client is given it: a scheme, a host, a port. Internal to the
// client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zeroth {

struct HttpUrl {
  bool tls = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string authority;  // the Host field
  std::string text;       // scheme and authority
};

/// InputError for anything else than http(s)://host[:port].
HttpUrl parse_http_url(std::string_view text);

bool is_loopback_host(const std::string& host);

}  // namespace zeroth
