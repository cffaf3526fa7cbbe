// TLS by OpenSSL: contexts made from PEM files, with errors that name the file. TLS 1.2 and 1.3.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

struct ssl_ctx_st;  // OpenSSL's own name of SSL_CTX
struct ssl_st;      // and of SSL

namespace zeroth {

struct TlsFiles {
  std::filesystem::path certificate;  // PEM: the server's certificate, then the chain
  std::filesystem::path key;          // PEM: its private key
};

struct FreeTlsContext {
  void operator()(ssl_ctx_st* context) const noexcept;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, FreeTlsContext>;

/// InputError for a file that cannot be read or a key that is not the certificate's.
TlsContext make_tls_server_context(const TlsFiles& files);

/// Trusts the certificates of `ca_file` (PEM), or the system's without one.
TlsContext make_tls_client_context(const std::optional<std::filesystem::path>& ca_file);

/// Asks of the peer's certificate that it names `host`, a name or an IP address.
void expect_tls_host(ssl_st* session, const std::string& host);

/// Why the peer's certificate was refused, e.g. "self-signed certificate"; "" when it was not.
std::string tls_verify_error(const ssl_st* session);

}  // namespace zeroth
