#include "system/http_client.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "system/error.h"
#include "system/file.h"
#include "tests/support/http_fixture.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::eventually;
using testing::FunctionHandler;
using testing::Listener;
using testing::RawConnection;
using Kind = HttpError::Kind;

std::string url_of(const HttpServer& server) {
  return "http://127.0.0.1:" + std::to_string(server.port());
}

/// The kind and text of the HttpError of `send`.
struct Failure {
  Kind kind = Kind::connect;
  std::string text = "answered";
};
Failure failure_of(HttpClient& client, const HttpClientRequest& request = {}) {
  try {
    client.send(request);
  } catch (const HttpError& error) {
    return {error.kind(), error.what()};
  }
  return {};
}

/// A peer that plays `play` on each of `num_connections` it accepts, one after the other.
class Peer {
 public:
  using Play = std::function<void(RawConnection&, int number)>;
  explicit Peer(Play play, int num_connections = 1)
      : thread_([this, play = std::move(play), num_connections] {
          for (int i = 0; i < num_connections; ++i) {
            RawConnection connection = listener_.accept();
            play(connection, i);
          }
        }) {}
  ~Peer() { thread_.join(); }
  std::string url() const { return listener_.url(); }

 private:
  Listener listener_;
  std::thread thread_;
};

/// One that answers each request's header with the same bytes and closes.
Peer saying(const std::string& response) {
  return Peer([response](RawConnection& connection, int) {
    connection.read_until("\r\n\r\n");
    connection.send(response);
  });
}

TEST_CASE("http client: a request goes there and its response comes back", "[http]") {
  FunctionHandler handler;
  handler.request = [](HttpRequest request, HttpResponder responder) {
    const std::string* field = request.head.headers.find("x-field");
    responder.answer({.status = 201,
                      .headers = {{"X-Answer", field != nullptr ? *field : ""}},
                      .body = request.head.method + " " + request.head.path + "?" +
                              request.head.query + " " + request.body});
  };
  HttpServer server({}, handler);
  HttpClient client(url_of(server) + "/");
  const HttpResponse response = client.send({.method = "POST",
                                             .target = "/path?query",
                                             .headers = {{"X-Field", "value"}},
                                             .body = "hello"});
  CHECK(response.status == 201);
  CHECK(response.body == "POST /path?query hello");
  REQUIRE(response.headers.find("x-answer") != nullptr);
  CHECK(*response.headers.find("x-answer") == "value");
  CHECK(client.send({.method = "HEAD"}).body.empty());
  CHECK(client.send({.method = "DELETE", .target = "/x"}).body == "DELETE /x? ");
  CHECK(server.num_connections() == 1);
}

TEST_CASE("http client: localhost and IPv6 addresses are reached", "[http]") {
  FunctionHandler handler;
  HttpServer server({}, handler);
  HttpClient by_name("http://localhost:" + std::to_string(server.port()));
  CHECK(by_name.send({}).status == 200);
  try {
    HttpServer six({.address = "::1"}, handler);
    HttpClient client("http://[::1]:" + std::to_string(six.port()));
    CHECK(client.send({}).status == 200);
    HttpClient both("http://localhost:" + std::to_string(six.port()));
    CHECK(both.send({}).status == 200);
  } catch (const InputError&) {
    WARN("no IPv6 on this machine");
  }
}

TEST_CASE("http client: a URL is read whole or refused", "[http]") {
  for (const char* url : {"http://host", "https://host:65535", "http://a-b.c_d:1/", "http://[::1]",
                          "https://[fe80::1]:8080/", "http://127.0.0.1:80"}) {
    INFO(url);
    CHECK_NOTHROW(HttpClient(url));
  }
  for (const char* url : {"",
                          "host:80",
                          "ftp://host",
                          "http://",
                          "http:///",
                          "http://host:",
                          "http://host:0",
                          "http://host:65536",
                          "http://host:80x",
                          "http://host:-1",
                          "http://host/path",
                          "http://host:80/path",
                          "http://user@host",
                          "http://[::1",
                          "http://[::1]x",
                          "http://[host]",
                          "http://::1",
                          "http://ho st",
                          "http://host\r\n",
                          "http://[fe80::1%eth0]",
                          "HTTP://host"}) {
    INFO(url);
    CHECK_THROWS_AS(HttpClient(url), InputError);
  }
}

TEST_CASE("http client: the token is sent, and not unencrypted to another machine", "[http]") {
  FunctionHandler handler;
  handler.head = [](const HttpHead& head) -> HttpDecision {
    if (head.bearer_token() == "the-token") return HttpAcceptBody{};
    return HttpReject{error_response(401, "who are you?")};
  };
  HttpServer server({}, handler);
  HttpClient with(url_of(server), {.bearer_token = "the-token"});
  HttpClient without(url_of(server));
  CHECK(with.send({}).status == 200);
  CHECK(without.send({}).status == 401);
  CHECK_THROWS_WITH(HttpClient("http://example.org", {.bearer_token = "the-token"}),
                    Catch::Contains("https://"));
  CHECK_NOTHROW(HttpClient("https://example.org", {.bearer_token = "the-token"}));
}

TEST_CASE("http client: a request that cannot be written is a caller's mistake", "[http]") {
  HttpClient client("http://127.0.0.1:1");
  CHECK_THROWS_AS(client.send({.method = "GET "}), std::invalid_argument);
  CHECK_THROWS_AS(client.send({.target = "no-slash"}), std::invalid_argument);
  CHECK_THROWS_AS(client.send({.target = "/a b"}), std::invalid_argument);
  CHECK_THROWS_AS(client.send({.target = "/\r\nX: y"}), std::invalid_argument);
  CHECK_THROWS_AS(client.send({.headers = {{"X", "y\r\nZ: a"}}}), std::invalid_argument);
  CHECK_THROWS_AS(client.send({.headers = {{"Host", "other"}}}), std::invalid_argument);
}

TEST_CASE("http client: bodies from memory and from a file, small and large", "[http]") {
  FunctionHandler handler;
  std::atomic<int> num_asked = 0;
  handler.head = [&](const HttpHead& head) {
    num_asked += head.headers.find("Expect") != nullptr ? 1 : 0;
    return HttpAcceptBody{.max_body_bytes = std::uint64_t{20} << 20};
  };
  handler.request = [](HttpRequest request, HttpResponder responder) {
    responder.answer({.body = sha256_hex(request.body)});
  };
  HttpServer server({}, handler);
  HttpClient client(url_of(server));
  const testing::TemporaryDirectory dir;
  for (const std::size_t size : {0U, 1U, 1000U, 1U << 20, 10'000'001U}) {
    std::string body;
    while (body.size() < size) body += std::to_string(body.size() * 7919) + " ";
    body.resize(size);
    write_file_atomically(dir / "body", body);
    INFO(size);
    CHECK(client.send({.method = "PUT", .body = body}).body == sha256_hex(body));
    CHECK(client.send({.method = "PUT", .body_file = dir / "body"}).body == sha256_hex(body));
  }
  CHECK(num_asked == 4);  // the two large ones, each twice
  CHECK(server.num_connections() == 1);
  CHECK_THROWS_AS(client.send({.method = "PUT", .body_file = dir / "absent"}), InputError);
  CHECK_THROWS_AS(client.send({.method = "PUT", .body_file = dir.path()}), InputError);
  CHECK(client.send({.method = "PUT", .body = "x"}).body == sha256_hex("x"));
}

TEST_CASE("http client: a large body that is refused is not sent", "[http]") {
  FunctionHandler handler;
  handler.head = [](const HttpHead&) { return HttpReject{error_response(403, "no")}; };
  HttpServer server({}, handler);
  HttpClient client(url_of(server));
  CHECK(client.send({.method = "PUT", .body = std::string(5'000'000, 'x')}).status == 403);
  CHECK(client.send({}).status == 403);
}

TEST_CASE("http client: a server without 100-continue gets the body after a while", "[http]") {
  std::size_t received = 0;
  {
    Peer peer([&](RawConnection& connection, int) {
      connection.read_until("\r\n\r\n");
      received = connection.read_until("END").size();
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    HttpClient client(peer.url());
    CHECK(client.send({.method = "PUT", .body = std::string(2'000'000, 'x') + "END"}).status ==
          200);
  }
  CHECK(received == 2'000'003);
}

TEST_CASE("http client: an answer in the middle of the body ends the sending", "[http]") {
  Peer peer([](RawConnection& connection, int) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    connection.read_until("x");
    connection.send("HTTP/1.1 507 Full\r\nContent-Length: 4\r\n\r\nfull");
    connection.read_all();
  });
  HttpClient client(peer.url());
  const HttpResponse response =
      client.send({.method = "PUT", .body = std::string(std::size_t{64} << 20, 'x')});
  CHECK(response.status == 507);
  CHECK(response.body == "full");
}

TEST_CASE("http client: what is no response, too large, or cut short is an error with its kind",
          "[http]") {
  struct Case {
    const char* response;
    Kind kind;
    const char* text;
  };
  const std::vector<Case> cases = {
      {"garbage\r\n\r\n", Kind::protocol, "protocol: "},
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", Kind::closed, "before the response"},
      {"HTTP/1.1 200 OK\r\nContent-", Kind::closed, "before the response"},
      {"", Kind::closed, "before the response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", Kind::too_large, "100 bytes"},
      {"HTTP/1.1 101 Switching\r\n\r\n", Kind::protocol, "protocol"},
  };
  for (const Case& wrong : cases) {
    INFO(wrong.response);
    const Peer peer = saying(wrong.response);
    HttpClient client(peer.url(), {.max_body_bytes = 100});
    const Failure failure = failure_of(client, {.target = "/where"});
    CHECK(failure.kind == wrong.kind);
    CHECK_THAT(failure.text,
               Catch::Contains(peer.url() + "/where: ") && Catch::Contains(wrong.text));
  }
  const Peer many = saying("HTTP/1.1 200 OK\r\n\r\n" + std::string(101, 'x'));
  HttpClient client(many.url(), {.max_body_bytes = 100});
  CHECK(failure_of(client).kind == Kind::too_large);
  const Peer header = saying("HTTP/1.1 200 OK\r\nA: " + std::string(30'000, 'a') + "\r\n\r\n");
  HttpClient other(header.url());
  CHECK(failure_of(other).kind == Kind::too_large);
  const Peer exact = saying("HTTP/1.1 200 OK\r\n\r\n" + std::string(100, 'x'));  // the control
  HttpClient third(exact.url(), {.max_body_bytes = 100});
  CHECK(third.send({}).body.size() == 100);
  std::string interim;
  for (int i = 0; i < 100; ++i) interim += "HTTP/1.1 102 Processing\r\n\r\n";
  const Peer endless = saying(interim);
  HttpClient fourth(endless.url());
  CHECK(failure_of(fourth).kind == Kind::protocol);
}

TEST_CASE("http client: damaged responses are read or an error, and never hang", "[http]") {
  const std::string response =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
  constexpr unsigned kSeeds = 500;
  Peer peer(
      [&](RawConnection& connection, int number) {
        connection.read_until("\r\n\r\n");
        connection.send(testing::mutate(response, static_cast<unsigned>(number)));
      },
      kSeeds);
  int num_errors = 0;
  const auto start = std::chrono::steady_clock::now();
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    HttpClient client(peer.url(), {.response_seconds = 2, .stall_seconds = 2});
    if (failure_of(client).text != "answered") ++num_errors;
  }
  CHECK(testing::seconds_since(start) < 30);
  CHECK(num_errors > 100);
  CHECK(num_errors < static_cast<int>(kSeeds));
}

TEST_CASE("http client: every wait has its deadline", "[http]") {
  const auto start = std::chrono::steady_clock::now();
  SECTION("for the response") {
    Peer peer([](RawConnection& connection, int) { connection.read_all(); });
    HttpClient client(peer.url());
    const Failure failure = failure_of(client, {.response_seconds = 0.3});
    CHECK(failure.kind == Kind::timeout);
    CHECK_THAT(failure.text, Catch::Contains("no response within 0.3 s"));
  }
  SECTION("for the rest of a response that drips") {
    std::atomic<bool> done = false;
    Peer peer([&](RawConnection& connection, int) {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      while (!done && connection.send("x")) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    HttpClient client(peer.url(), {.stall_seconds = 0.3});
    const Failure failure = failure_of(client);
    done = true;
    CHECK(failure.kind == Kind::timeout);
    CHECK_THAT(failure.text, Catch::Contains("too slowly"));
  }
  SECTION("for a peer that does not take the body") {
    std::atomic<bool> done = false;
    Peer peer([&](RawConnection& connection, int) {
      connection.read_until("\r\n\r\n");
      eventually([&] { return done.load(); });
    });
    HttpClient client(peer.url(), {.stall_seconds = 0.3});
    const Failure failure =
        failure_of(client, {.method = "PUT", .body = std::string(std::size_t{64} << 20, 'x')});
    done = true;
    CHECK(failure.kind == Kind::timeout);
    CHECK_THAT(failure.text, Catch::Contains("taken too slowly"));
  }
  CHECK(testing::seconds_since(start) < 5);
}

TEST_CASE("http client: nobody listens, and no such host", "[http]") {
  std::uint16_t free_port = 0;
  { free_port = Listener().port(); }
  HttpClient nobody("http://127.0.0.1:" + std::to_string(free_port));
  CHECK(failure_of(nobody).kind == Kind::connect);
  CHECK_THAT(failure_of(nobody).text, Catch::Contains("refused"));
  HttpClient nowhere("http://no-such-host.invalid", {.connect_seconds = 5});
  const auto start = std::chrono::steady_clock::now();
  const Failure failure = failure_of(nowhere);
  CHECK((failure.kind == Kind::connect || failure.kind == Kind::timeout));
  CHECK(testing::seconds_since(start) < 6);
}

// A peer that answers one request a connection and then closes it or answers nothing more.
TEST_CASE("http client: a kept connection that closed is replaced without a word", "[http]") {
  std::atomic<int> num_requests = 0;
  Peer peer(
      [&](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        ++num_requests;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      },
      3);
  HttpClient client(peer.url());
  for (int i = 0; i < 3; ++i) {
    CHECK(client.send({.method = "POST", .body = "once"}).status == 200);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the close arrives meanwhile
  }
  CHECK(num_requests == 3);
}

TEST_CASE("http client: a request is sent twice only if that does no harm", "[http]") {
  std::atomic<int> num_requests = 0;
  // The first connection takes two requests and answers one: the second is lost without a byte.
  const auto play = [&](RawConnection& connection, int number) {
    for (int i = 0; i < (number == 0 ? 2 : 1); ++i) {
      connection.read_until("\r\n\r\n");
      ++num_requests;
      if (i == 0) connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  };
  SECTION("idempotent: again on a new connection") {
    Peer peer(play, 2);
    HttpClient client(peer.url());
    CHECK(client.send({}).status == 200);
    CHECK(client.send({.idempotent = true}).status == 200);
    CHECK(num_requests == 3);
  }
  SECTION("not idempotent: an error") {
    Peer peer(play, 1);
    HttpClient client(peer.url());
    CHECK(client.send({}).status == 200);
    CHECK(failure_of(client, {.method = "POST"}).kind == Kind::closed);
    CHECK(num_requests == 2);
  }
}

TEST_CASE("http client: a new connection that closes is an error, idempotent or not", "[http]") {
  std::atomic<int> num_connections = 0;
  Peer peer([&](RawConnection& connection, int) {
    ++num_connections;
    connection.read_until("\r\n\r\n");
  });
  HttpClient client(peer.url());
  CHECK(failure_of(client, {.idempotent = true}).kind == Kind::closed);
  CHECK(num_connections == 1);
}

TEST_CASE("http client: cancel() ends a running send at once, and every later one until renew()",
          "[http]") {
  FunctionHandler handler;
  std::mutex mutex;
  std::vector<HttpResponder> kept;
  handler.request = [&](HttpRequest asked, HttpResponder responder) {
    if (asked.head.path == "/now") return responder.answer({});
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(responder));
  };
  HttpServer server({}, handler);
  HttpClient client(url_of(server), {.response_seconds = 100});
  const auto start = std::chrono::steady_clock::now();
  std::thread canceller([&] {
    eventually([&] {
      const std::lock_guard lock(mutex);
      return !kept.empty();
    });
    client.cancel();
  });
  CHECK(failure_of(client).kind == Kind::cancelled);
  canceller.join();
  CHECK(testing::seconds_since(start) < 5);
  CHECK(failure_of(client).kind == Kind::cancelled);
  CHECK(eventually([&] {
    const std::lock_guard lock(mutex);
    return kept.front().is_cancelled();
  }));
  client.renew();
  CHECK(client.send({.target = "/now"}).status == 200);
}

TEST_CASE("http client: a second send() while one runs is a mistake that is told", "[http]") {
  FunctionHandler handler;
  std::atomic<bool> running = false;
  std::atomic<bool> release = false;
  std::thread worker;
  handler.request = [&](HttpRequest, HttpResponder responder) {
    running = true;
    worker = std::thread([&, later = std::move(responder)]() mutable {
      eventually([&] { return release.load(); });
      later.answer({});
    });
  };
  HttpServer server({}, handler);
  HttpClient client(url_of(server));
  std::thread first([&] { client.send({}); });
  REQUIRE(eventually([&] { return running.load(); }));
  CHECK_THROWS_AS(client.send({}), std::invalid_argument);
  release = true;
  first.join();
  worker.join();
}

TEST_CASE("http client: several threads, each with a client, share a server", "[http]") {
  FunctionHandler handler;
  HttpServer server({}, handler);
  std::atomic<int> num_right = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      HttpClient client(url_of(server));
      for (int j = 0; j < 50; ++j) {
        const std::string body = std::to_string(i * 1000 + j);
        if (client.send({.method = "POST", .body = body}).body == "POST / " + body) ++num_right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(num_right == 200);
}

TEST_CASE("http client: a server that goes in the middle is an error, not a hang", "[http]") {
  FunctionHandler handler;
  std::atomic<bool> running = false;
  std::vector<HttpResponder> kept;
  handler.request = [&](HttpRequest, HttpResponder responder) {
    kept.push_back(std::move(responder));
    running = true;
  };
  auto server = std::make_unique<HttpServer>(HttpServerConfig{}, handler);
  HttpClient client(url_of(*server));
  std::thread stopping([&] {
    eventually([&] { return running.load(); });
    server.reset();
  });
  CHECK(failure_of(client).kind == Kind::closed);
  stopping.join();
}

// Hidden: a figure. http_test "[speed]"
TEST_CASE("http client: a file is sent and received at the speed of memory", "[.][speed]") {
  FunctionHandler handler;
  struct Counting : HttpBodySink {
    void write(std::string_view) override {}
    void abort() noexcept override {}
  };
  handler.head = [](const HttpHead&) {
    return HttpStreamBody{.sink = std::make_shared<Counting>(),
                          .max_body_bytes = std::uint64_t{1} << 40};
  };
  HttpServer server({}, handler);
  HttpClient client(url_of(server));
  const testing::TemporaryDirectory dir;
  constexpr std::size_t kSize = std::size_t{512} << 20;
  write_file_atomically(dir / "body", std::string(kSize, 'x'));
  const auto start = std::chrono::steady_clock::now();
  CHECK(client.send({.method = "PUT", .body_file = dir / "body"}).status == 200);
  const double rate = kSize / 1e6 / testing::seconds_since(start);
  WARN("PUT of 512 MiB: " << rate << " MB/s");
  CHECK(rate > 100);
}

}  // namespace
}  // namespace zeroth
