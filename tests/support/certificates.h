// Certificates for the tests of TLS, made when they are needed: an authority of a test's own and
// what it signs.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace zeroth::testing {

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name)
      : key_(make_key()), certificate_(make(name, "critical,CA:TRUE", "", nullptr, key_)) {}

  void write_certificate(const std::filesystem::path& file) const { write(file, certificate_); }

  /// A certificate and key for `alternative_names`, e.g. "DNS:localhost,IP:127.0.0.1".
  void issue(const std::string& alternative_names, const std::filesystem::path& certificate_file,
             const std::filesystem::path& key_file) const {
    const Key key = make_key();
    write(certificate_file, make("peer", "critical,CA:FALSE", alternative_names, this, key));
    const File file = open(key_file);
    check(PEM_write_PrivateKey(file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  }

 private:
  template <auto Free>
  struct Deleter {
    template <class T>
    void operator()(T* object) const {
      Free(object);
    }
  };
  using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
  using File = std::unique_ptr<std::FILE, Deleter<std::fclose>>;

  static void check(bool done) {
    if (!done) throw std::runtime_error("OpenSSL cannot make a certificate");
  }

  static Key make_key() {
    Key key(EVP_EC_gen("P-256"));
    check(key != nullptr);
    return key;
  }

  static void extend(X509* certificate, int kind, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
    check(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
  }

  static Certificate make(const std::string& name, const std::string& constraints,
                          const std::string& alternative_names, const CertificateAuthority* issuer,
                          const Key& key) {
    Certificate certificate(X509_new());
    X509* x = certificate.get();
    check(X509_set_version(x, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x), issuer == nullptr ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME* subject = X509_get_subject_name(x);
    check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1);
    X509* signer = issuer == nullptr ? x : issuer->certificate_.get();
    check(X509_set_issuer_name(x, X509_get_subject_name(signer)) == 1);
    check(X509_set_pubkey(x, key.get()) == 1);
    extend(x, NID_basic_constraints, constraints);
    if (!alternative_names.empty()) extend(x, NID_subject_alt_name, alternative_names);
    check(X509_sign(x, (issuer == nullptr ? key : issuer->key_).get(), EVP_sha256()) != 0);
    return certificate;
  }

  static File open(const std::filesystem::path& path) {
    File file(std::fopen(path.c_str(), "w"));
    check(file != nullptr);
    return file;
  }

  static void write(const std::filesystem::path& path, const Certificate& certificate) {
    const File file = open(path);
    check(PEM_write_X509(file.get(), certificate.get()) == 1);
  }

  Key key_;
  Certificate certificate_;
};

}  // namespace zeroth::testing
