#include "system/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>

#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

// The last reason OpenSSL gives; its queue is empty afterwards.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

TlsContext make_context(const SSL_METHOD* method) {
  TlsContext context(SSL_CTX_new(method));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    throw std::runtime_error("OpenSSL: " + openssl_reason());
  }
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
  return context;
}

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& expected) {
  throw InputError({.source = file.string(),
                    .field = "",
                    .expected = expected,
                    .actual = "something else (" + openssl_reason() + ")"});
}

}  // namespace

void FreeTlsContext::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

TlsContext make_tls_server_context(const TlsFiles& files) {
  read_file(files.certificate);  // for its error: OpenSSL's does not say which file is missing
  read_file(files.key);
  TlsContext context = make_context(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    fail(files.certificate, "certificates in PEM");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    fail(files.key, "the private key of " + files.certificate.string() + " in PEM");
  }
  return context;
}

TlsContext make_tls_client_context(const std::optional<std::filesystem::path>& ca_file) {
  TlsContext context = make_context(TLS_client_method());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (ca_file) {
    read_file(*ca_file);
    if (SSL_CTX_load_verify_locations(context.get(), ca_file->c_str(), nullptr) != 1) {
      fail(*ca_file, "certificates in PEM");
    }
  } else if (SSL_CTX_set_default_verify_paths(context.get()) != 1) {
    throw std::runtime_error("OpenSSL: " + openssl_reason());
  }
  return context;
}

void expect_tls_host(ssl_st* session, const std::string& host) {
  X509_VERIFY_PARAM* parameters = SSL_get0_param(session);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return;
  ERR_clear_error();  // not an address
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size()) != 1 ||
      SSL_set_tlsext_host_name(session, host.c_str()) != 1) {
    throw std::runtime_error("OpenSSL: " + openssl_reason());
  }
}

std::string tls_verify_error(const ssl_st* session) {
  const long result = SSL_get_verify_result(session);
  return result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
}

}  // namespace zeroth
