#include "system/http_client.h"

#include <catch2/catch.hpp>

#include "tests/system/http_fixture.h"

namespace zeroth {
namespace {

using testing::FunctionHandler;

std::string url_of(const HttpServer& server) {
  return "http://127.0.0.1:" + std::to_string(server.port());
}

TEST_CASE("http client: a request goes there and its response comes back", "[http]") {
  FunctionHandler handler;
  HttpServer server({}, handler);
  HttpClient client(url_of(server));
  const HttpResponse response = client.send({.method = "POST", .target = "/x", .body = "hello"});
  CHECK(response.status == 200);
  CHECK(response.body == "POST /x hello");
}

}  // namespace
}  // namespace zeroth
