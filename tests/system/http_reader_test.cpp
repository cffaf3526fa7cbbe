#include "system/http_reader.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/mutate.h"

namespace zeroth {
namespace {

constexpr std::size_t kMaxHeader = 1024;

// What a reader makes of `bytes` that come `piece` at a time, as text: one line a message, with the
// pieces of its body joined, and the status of the error that ended it.
template <class Reader, class Describe>
std::string transcript(Reader& reader, std::string_view bytes, std::size_t piece,
                       Describe describe) {
  std::string text;
  std::string waiting;
  try {
    while (!bytes.empty() || !waiting.empty()) {
      const std::size_t size = std::min(piece, bytes.size());
      waiting += bytes.substr(0, size);
      bytes.remove_prefix(size);
      std::string_view input = waiting;
      for (bool more = true; more;) {
        switch (reader.next(input)) {
          case HttpEvent::need_more:
            more = false;
            break;
          case HttpEvent::head:
            text += describe(reader.head()) + " [";
            break;
          case HttpEvent::body:
            text += reader.body();
            break;
          case HttpEvent::complete:
            text += reader.keep_alive() ? "]\n" : "] close\n";
            if constexpr (requires { reader.reset(); }) {
              reader.reset();
            } else {
              reader.reset(false);
            }
            break;
        }
      }
      waiting = input;
      if (size == 0) break;  // what waits will never be whole
    }
  } catch (const HttpProtocolError& error) {
    text += "error " + std::to_string(error.status());
  }
  return text;
}

std::string requests(std::string_view bytes, std::size_t piece = 1U << 20) {
  HttpRequestReader reader(kMaxHeader);
  return transcript(reader, bytes, piece, [](const HttpHead& head) {
    return head.method + " " + head.path + (head.query.empty() ? "" : " ?" + head.query);
  });
}

std::string responses(std::string_view bytes, std::size_t piece = 1U << 20) {
  HttpResponseReader reader(kMaxHeader);
  return transcript(reader, bytes, piece,
                    [](const HttpResponse& head) { return std::to_string(head.status); });
}

const std::string kStream =
    "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
    "\r\nPOST /body HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\nhello"
    "PUT /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3;name=value\r\nabc\r\nB\r\nlonger text\r\n0\r\nTrailer: t\r\n\r\n"
    "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST_CASE("http reader: requests, bodies and chunks of a stream by hand", "[http]") {
  CHECK(requests(kStream) ==
        "GET /a ?b=c []\nPOST /body [hello]\nPUT /chunks [abclonger text]\nOPTIONS * [] close\n");
}

TEST_CASE("http reader: the cuts of a stream do not matter", "[http]") {
  for (std::size_t piece = 1; piece < kStream.size(); ++piece) {
    INFO(piece);
    CHECK(requests(kStream, piece) == requests(kStream));
  }
}

TEST_CASE("http reader: damaged streams are read or refused, the same in pieces", "[http]") {
  std::size_t num_refused = 0;
  for (unsigned seed = 0; seed < 5000; ++seed) {
    const std::string damaged = testing::mutate(kStream, seed);
    const std::string whole = requests(damaged);
    INFO(seed);
    num_refused += whole.find("error") != std::string::npos ? 1 : 0;
    // Byte by byte an error may come before the end of a header is seen, never another message.
    const std::string bytewise = requests(damaged, 1);
    CHECK(bytewise.substr(0, bytewise.find("error")) == whole.substr(0, whole.find("error")));
  }
  CHECK(num_refused > 1000);
  CHECK(num_refused < 5000);
}

TEST_CASE("http reader: what is no request is refused with its status", "[http]") {
  struct Case {
    const char* bytes;
    int status;
  };
  const std::vector<Case> cases = {
      {"\x16\x03\x01\x02 a TLS hello\r\n\r\n", 400},
      {"GET\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", 505},  // "HTTP/1.1\n" is no version,
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n", 400},
      {"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
  };
  for (const Case& wrong : cases) {
    INFO(wrong.bytes);
    CHECK_THAT(requests(wrong.bytes), Catch::EndsWith("error " + std::to_string(wrong.status)));
  }
}

TEST_CASE("http reader: a body whose end is uncertain is refused", "[http]") {
  const auto with = [](const std::string& fields) {
    return requests("PUT / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n0\r\n\r\n").substr(0, 9);
  };
  CHECK(with("Transfer-Encoding: chunked\r\n") == "PUT / []\n");  // the control
  CHECK(with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") == "error 400");
  CHECK(with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") == "error 400");
  CHECK(with("Content-Length: 5\r\nContent-Length: 6\r\n") == "error 400");
  CHECK(with("Transfer-Encoding: gzip\r\n") == "error 501");
  CHECK(with("Transfer-Encoding: gzip, chunked\r\n") == "error 501");
  CHECK(with("Transfer-Encoding: chunked, gzip\r\n") == "error 501");
  CHECK(with("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n") == "error 501");
  CHECK(requests("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == "error 400");
}

TEST_CASE("http reader: a header up to the limit is read, one byte more is not", "[http]") {
  const std::string begin = "GET / HTTP/1.1\r\nHost: x\r\n";
  const auto padded = [&](std::size_t size) {
    std::string text = begin;
    while (text.size() + 60 < size) text += "Name: value\r\n";  // no single field is large
    return text + "L: " + std::string(size - text.size() - 7, 'l') + "\r\n\r\n";
  };
  REQUIRE(padded(kMaxHeader).size() == kMaxHeader);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
    INFO(piece);
    CHECK(requests(padded(kMaxHeader), piece) == "GET / []\n");
    CHECK(requests(padded(kMaxHeader + 1), piece) == "error 431");
    CHECK(requests(begin + "L: " + std::string(5000, 'l'), piece) == "error 431");
    CHECK(requests("GET /" + std::string(5000, 'l'), piece) == "error 431");
  }
}

TEST_CASE("http reader: the limit holds for each header, not for the connection", "[http]") {
  std::string many;
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    many += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    expected += "GET / []\n";
  }
  CHECK(requests(many, 100) == expected);
}

TEST_CASE("http reader: an absolute target is cut to its path", "[http]") {
  const auto target = [](const std::string& text) {
    return requests("GET " + text + " HTTP/1.1\r\nHost: x\r\n\r\n");
  };
  CHECK(target("http://host:80/path?q") == "GET /path ?q []\n");
  CHECK(target("http://host") == "GET / []\n");
  CHECK(target("http://host?q") == "GET / ?q []\n");
  CHECK(target("/path?next=http://other/") == "GET /path ?next=http://other/ []\n");
}

TEST_CASE("http reader: the fields of a trailer are not the request's", "[http]") {
  HttpRequestReader reader(kMaxHeader);
  std::string_view input =
      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\nAuthorization: Bearer late\r\n\r\n";
  REQUIRE(reader.next(input) == HttpEvent::head);
  CHECK_FALSE(reader.head().content_length.has_value());
  CHECK(reader.head().has_body());
  REQUIRE(reader.next(input) == HttpEvent::complete);
  CHECK(input.empty());
  CHECK_FALSE(reader.head().bearer_token().has_value());
}

TEST_CASE("http head: a bearer token is found whatever the case of its words, and only alone",
          "[http]") {
  HttpHead head;
  CHECK_FALSE(head.bearer_token());
  head.headers.add("authorization", "bearer  secret");
  CHECK(head.bearer_token() == "secret");
  head.headers.add("Authorization", "Bearer other");
  CHECK_FALSE(head.bearer_token());
  head.headers = {{"Authorization", "Basic secret"}};
  CHECK_FALSE(head.bearer_token());
  head.headers = {{"Authorization", "Bearer "}};
  CHECK_FALSE(head.bearer_token());
}

TEST_CASE("http reader: responses by length, by chunks, interim and without a body", "[http]") {
  const std::string stream =
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
      "HTTP/1.1 404\x20\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
      "HTTP/1.1 204 No Content\r\n\r\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{1000}}) {
    CHECK(responses(stream, piece) == "100 []\n200 [ab]\n404 [c]\n204 []\n");
  }
  CHECK(responses("HTTP/1.1 abc\r\n\r\n") == "error 400");
  CHECK(responses("garbage\r\n\r\n") == "error 505");
}

TEST_CASE("http reader: a response without a length ends with the stream", "[http]") {
  HttpResponseReader reader(kMaxHeader);
  CHECK_FALSE(reader.end_of_stream());
  std::string_view input = "HTTP/1.1 200 OK\r\n\r\nto the end";
  REQUIRE(reader.next(input) == HttpEvent::head);
  REQUIRE(reader.next(input) == HttpEvent::body);
  CHECK(reader.body() == "to the end");
  CHECK(reader.next(input) == HttpEvent::need_more);
  CHECK_FALSE(reader.keep_alive());
  CHECK(reader.end_of_stream());

  reader.reset(false);
  input = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
  REQUIRE(reader.next(input) == HttpEvent::head);
  CHECK(reader.content_length() == 9U);
  REQUIRE(reader.next(input) == HttpEvent::body);
  CHECK_FALSE(reader.end_of_stream());
}

TEST_CASE("http reader: the response to HEAD tells a length and has no body", "[http]") {
  HttpResponseReader reader(kMaxHeader);
  reader.reset(/*without_body=*/true);
  std::string_view input = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
  REQUIRE(reader.next(input) == HttpEvent::head);
  CHECK(reader.content_length() == 9U);
  CHECK(reader.next(input) == HttpEvent::complete);
}

}  // namespace
}  // namespace zeroth
