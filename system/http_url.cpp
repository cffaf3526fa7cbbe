#include "system/http_url.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <system_error>

#include "system/error.h"

namespace zeroth {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

}  // namespace

HttpUrl parse_http_url(std::string_view text) {
  const auto fail = [&](const std::string& expected) {
    throw InputError({.source = "URL",
                      .field = "",
                      .expected = expected,
                      .actual = "\"" + std::string(text) + "\""});
  };
  HttpUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    fail("http://host:port or https://host:port");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  error_code error;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) fail("a ] after the IPv6 address");
    url.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    asio::ip::make_address_v6(url.host, error);
    if (error || url.host.find('%') != std::string::npos) fail("an IPv6 address in the brackets");
    url.authority = "[" + url.host + "]";
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    url.host = rest.substr(0, end);
    rest.remove_prefix(end);
    if (url.host.empty() || !std::all_of(url.host.begin(), url.host.end(), is_host_character)) {
      fail("a host name or an IP address, and no path, after ://");
    }
    url.authority = url.host;
  }
  url.port = url.tls ? 443 : 80;
  if (!rest.empty()) {
    const char* begin = rest.data() + 1;
    const char* end = rest.data() + rest.size();
    const auto [stop, status] = std::from_chars(begin, end, url.port);
    if (rest.front() != ':' || status != std::errc() || stop != end || url.port == 0) {
      fail("a port from 1 to 65535, and no path, after the host");
    }
    url.authority += ":" + std::to_string(url.port);
  }
  url.text = (url.tls ? "https://" : "http://") + url.authority;
  return url;
}

bool is_loopback_host(const std::string& host) {
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  return host == "localhost" || (!error && address.is_loopback());
}

}  // namespace zeroth
