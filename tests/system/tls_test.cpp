// The server's and the client's TLS against each other, and against peers that do not speak it.

#include "system/tls.h"

#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "system/error.h"
#include "system/http_client.h"
#include "system/http_server.h"
#include "tests/support/certificates.h"
#include "tests/support/http_fixture.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::CertificateAuthority;
using testing::FunctionHandler;
using testing::RawConnection;

/// A server whose certificate, signed by an authority of its own, is for `names`.
class TlsPeer {
 public:
  explicit TlsPeer(const std::string& names = "DNS:localhost,IP:127.0.0.1,IP:::1",
                   HttpServerConfig config = {})
      : server_(with_files(names, std::move(config)), handler) {}

  std::string url(const std::string& host = "localhost") const {
    return "https://" + host + ":" + std::to_string(server_.port());
  }
  HttpClientConfig trusting() const { return {.ca_file = directory_ / "ca.pem"}; }
  const HttpServer& server() const { return server_; }

  FunctionHandler handler;

 private:
  HttpServerConfig with_files(const std::string& names, HttpServerConfig config) const {
    const CertificateAuthority authority("an authority");
    authority.write_certificate(directory_ / "ca.pem");
    authority.issue(names, directory_ / "cert.pem", directory_ / "key.pem");
    config.tls = TlsFiles{directory_ / "cert.pem", directory_ / "key.pem"};
    return config;
  }

  testing::TemporaryDirectory directory_;
  HttpServer server_;
};

/// Why a GET of `url` fails; "answered" when it does not.
std::string outcome(const std::string& url, HttpClientConfig config,
                    HttpError::Kind kind = HttpError::Kind::tls) {
  try {
    HttpClient(url, std::move(config)).send({});
    return "answered";
  } catch (const HttpError& error) {
    if (error.kind() != kind) return "another kind: " + std::string(error.what());
    return error.what();
  }
}

TEST_CASE("tls: a certificate of a trusted authority for the host is taken", "[http]") {
  const TlsPeer peer;
  CHECK(outcome(peer.url("localhost"), peer.trusting()) == "answered");
  CHECK(outcome(peer.url("127.0.0.1"), peer.trusting()) == "answered");
  HttpClient client(peer.url(), peer.trusting());
  const std::string body(3'000'000, 'b');
  for (int i = 0; i < 3; ++i) {  // on a kept connection
    const auto response = client.send({.method = "POST", .body = std::to_string(i)});
    CHECK(response.body == "POST / " + std::to_string(i));
  }
  CHECK(peer.server().num_connections() == 1);
}

TEST_CASE("tls: large bodies go both ways", "[http]") {
  TlsPeer peer;
  peer.handler.head = [](const HttpHead&) {
    return HttpAcceptBody{.max_body_bytes = std::uint64_t{10} << 20};
  };
  std::string body;
  for (int i = 0; body.size() < 5'000'000; ++i) body += std::to_string(i) + " ";
  HttpClient client(peer.url(), peer.trusting());
  CHECK(client.send({.method = "POST", .body = body}).body == "POST / " + body);
}

TEST_CASE("tls: a certificate for another host is refused", "[http]") {
  const TlsPeer peer("DNS:elsewhere.example,IP:127.0.0.2");
  CHECK_THAT(outcome(peer.url("localhost"), peer.trusting()),
             Catch::Contains(peer.url()) && Catch::Contains("ostname mismatch"));
  CHECK_THAT(outcome(peer.url("127.0.0.1"), peer.trusting()),
             Catch::Contains("IP address mismatch"));
}

TEST_CASE("tls: a certificate of an unknown authority is refused", "[http]") {
  const TlsPeer peer;
  const TlsPeer other;
  CHECK_THAT(outcome(peer.url(), other.trusting()), Catch::Contains("the certificate is refused"));
  CHECK_THAT(outcome(peer.url(), {}), Catch::Contains("the certificate is refused"));
}

TEST_CASE("tls: a client that speaks none, to a server that does, and the reverse", "[http]") {
  const TlsPeer peer;
  const std::string port = std::to_string(peer.server().port());
  CHECK_THAT(outcome("http://127.0.0.1:" + port, {}, HttpError::Kind::closed),
             Catch::Contains("closed"));
  FunctionHandler handler;
  const HttpServer plain({}, handler);
  const std::string url = "https://127.0.0.1:" + std::to_string(plain.port());
  CHECK_THAT(outcome(url, peer.trusting()), Catch::Contains("TLS"));
  CHECK(outcome(peer.url(), peer.trusting()) == "answered");
}

TEST_CASE("tls: a handshake that does not come is given up by both sides", "[http]") {
  const TlsPeer peer("DNS:localhost", {.limits = {.header_seconds = 0.2}});
  RawConnection silent(peer.server().port());
  CHECK(silent.read_all(5).empty());
  // A listener that accepts in the kernel and never speaks.
  FunctionHandler handler;
  const testing::Listener listener;
  CHECK_THAT(outcome("https://127.0.0.1:" + std::to_string(listener.port()),
                     {.connect_seconds = 0.2}, HttpError::Kind::timeout),
             Catch::Contains("TLS handshake took longer than 0.2 s"));
}

TEST_CASE("tls: a peer that goes is noticed while it is owed an answer", "[http]") {
  TlsPeer peer;
  std::atomic<bool> noticed = false;
  std::thread worker;
  peer.handler.request = [&](HttpRequest, HttpResponder responder) {
    worker = std::thread([&, later = std::move(responder)] {
      noticed = testing::eventually([&] { return later.is_cancelled(); });
    });
  };
  auto config = peer.trusting();
  config.response_seconds = 0.2;
  CHECK_THAT(outcome(peer.url(), config, HttpError::Kind::timeout),
             Catch::Contains("no response within 0.2 s"));
  CHECK(testing::eventually([&] { return noticed.load(); }));
  worker.join();
}

TEST_CASE("tls: connections beyond the limit are told 503 as well", "[http]") {
  TlsPeer peer("DNS:localhost", {.limits = {.max_connections = 1}});
  HttpClient first(peer.url(), peer.trusting());
  CHECK(first.send({}).status == 200);
  HttpClient second(peer.url(), peer.trusting());
  CHECK(second.send({}).status == 503);
  CHECK(first.send({}).status == 200);
}

TEST_CASE("tls: other machines are served with TLS and tokens", "[http]") {
  const TlsPeer peer("IP:127.0.0.1", {.address = "0.0.0.0", .authenticated = true});
  CHECK(outcome(peer.url("127.0.0.1"), peer.trusting()) == "answered");
}

TEST_CASE("tls: files that are wrong are named", "[http]") {
  const testing::TemporaryDirectory dir;
  const CertificateAuthority authority("an authority");
  authority.issue("DNS:localhost", dir / "a.pem", dir / "a.key");
  authority.issue("DNS:localhost", dir / "b.pem", dir / "b.key");
  write_file_atomically(dir / "text", "no PEM");
  CHECK_NOTHROW(make_tls_server_context({dir / "a.pem", dir / "a.key"}));
  CHECK_THROWS_WITH(make_tls_server_context({dir / "a.pem", dir / "b.key"}),
                    Catch::Contains("b.key") && Catch::Contains("a.pem"));
  CHECK_THROWS_WITH(make_tls_server_context({dir / "text", dir / "a.key"}),
                    Catch::Contains("text"));
  CHECK_THROWS_WITH(make_tls_server_context({dir / "a.pem", dir / "absent"}),
                    Catch::Contains("absent"));
  CHECK_THROWS_WITH(make_tls_client_context(dir / "text"), Catch::Contains("text"));
  CHECK_THROWS_AS(make_tls_client_context(dir / "absent"), InputError);
}

}  // namespace
}  // namespace zeroth
