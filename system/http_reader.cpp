#include "system/http_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <utility>

namespace zeroth {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::string_view;

std::string_view standard(string_view text) {
  return {text.data(), text.size()};
}

// Beast calls these while it reads; they only keep what it found.
template <bool is_request>
class Parser : public http::basic_parser<is_request> {
 public:
  std::string method;
  std::string target;
  int status = 0;
  int version = 11;
  HttpHeaders headers;
  std::string_view body;  // of the last put()
  bool header_came = false;

 private:
  using Error = beast::error_code;
  using Length = boost::optional<std::uint64_t>;

  void on_request_impl(http::verb, string_view method_text, string_view target_text, int number,
                       Error&) override {
    method = standard(method_text);
    target = standard(target_text);
    version = number;
  }
  void on_response_impl(int code, string_view, int number, Error&) override {
    status = code;
    version = number;
  }
  void on_field_impl(http::field, string_view name, string_view value, Error&) override {
    // The fields of a trailer come here as well; nobody asked for them.
    if (!header_came) headers.add(std::string(standard(name)), std::string(standard(value)));
  }
  void on_header_impl(Error&) override { header_came = true; }
  void on_body_init_impl(const Length&, Error&) override {}
  std::size_t on_body_impl(string_view bytes, Error&) override { return take(bytes); }
  void on_chunk_header_impl(std::uint64_t, string_view, Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view bytes, Error&) override {
    return take(bytes);
  }
  void on_finish_impl(Error&) override {}

  std::size_t take(string_view bytes) {
    body = standard(bytes);
    return bytes.size();
  }
};

int status_of(const beast::error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::bad_version) return 505;
  return 400;
}

template <bool is_request>
class Reader {
 public:
  explicit Reader(std::size_t max_header_bytes) : max_header_bytes_(max_header_bytes) { reset(); }

  HttpEvent next(std::string_view& input) {
    parser_->body = {};
    while (!input.empty() && !parser_->is_done()) {
      if (header_bytes_ == 0 && !skip_blank_line(input)) return HttpEvent::need_more;
      const bool in_header = !parser_->is_header_done();
      beast::error_code error;
      const std::size_t used = parser_->put(boost::asio::buffer(input.data(), input.size()), error);
      input.remove_prefix(used);
      if (in_header) count_header(used, input.size());
      if (error == http::error::need_more) return HttpEvent::need_more;
      if (error) throw HttpProtocolError(status_of(error), error.message());
      if (in_header && parser_->is_header_done()) return HttpEvent::head;
      if (!parser_->body.empty()) return HttpEvent::body;
    }
    return parser_->is_done() ? HttpEvent::complete : HttpEvent::need_more;
  }

  bool is_started() const { return header_bytes_ != 0 || started_; }

  void reset() {
    parser_.emplace();
    parser_->body_limit(boost::none);  // the owner counts
    parser_->header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(max_header_bytes_, std::numeric_limits<std::uint32_t>::max())));
    header_bytes_ = 0;
    started_ = false;
    skipped_ = false;
  }

  Parser<is_request>& parser() { return *parser_; }
  const Parser<is_request>& parser() const { return *parser_; }

 private:
  // RFC 9112, 2.2: an empty line before a request is ignored; one. False when the input ends in it.
  bool skip_blank_line(std::string_view& input) {
    if (started_) return true;
    if (!skipped_ && input.front() == '\r') {
      if (input.size() < 2) return false;
      if (input[1] == '\n') {
        input.remove_prefix(2);
        skipped_ = true;
      }
    }
    if (input.empty()) return false;
    started_ = true;
    return true;
  }

  // Beast's own limit holds for what is still unread, and it takes line by line.
  void count_header(std::size_t used, std::size_t left) {
    header_bytes_ += used;
    const std::size_t known = header_bytes_ + (parser_->is_header_done() ? 0 : left);
    if (known > max_header_bytes_) {
      throw HttpProtocolError(
          431, "the header is larger than " + std::to_string(max_header_bytes_) + " bytes");
    }
  }

  std::size_t max_header_bytes_;
  boost::optional<Parser<is_request>> parser_;
  std::size_t header_bytes_ = 0;
  bool started_ = false;
  bool skipped_ = false;
};

// RFC 9112, 6.1: a body whose end is not certain is where requests get smuggled.
void check_transfer_encoding(const HttpHeaders& headers, int version) {
  const std::size_t count = headers.count("Transfer-Encoding");
  if (count == 0) return;
  if (version < 11) throw HttpProtocolError(400, "Transfer-Encoding in HTTP/1.0");
  const std::string& value = *headers.find("Transfer-Encoding");
  if (count > 1 || !beast::iequals(value, "chunked")) {
    throw HttpProtocolError(501, "a transfer coding other than chunked");
  }
}

void check_host(const HttpHeaders& headers, int version) {
  const std::size_t count = headers.count("Host");
  if (count > 1 || (count == 0 && version >= 11)) {
    throw HttpProtocolError(400, count == 0 ? "no Host field" : "more than one Host field");
  }
}

// RFC 9112, 3.2: origin form, and absolute form cut to it. CONNECT's authority is nobody's path.
void split_target(std::string_view target, HttpHead& head) {
  if (const std::size_t scheme = target.find("://");
      scheme != std::string_view::npos && !target.starts_with('/')) {
    const std::size_t path = target.find_first_of("/?", scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const std::size_t question = target.find('?');
  head.path = target.substr(0, question);
  head.query = question == std::string_view::npos ? "" : target.substr(question + 1);
  if (head.path.empty()) head.path = "/";
  if (head.path.front() != '/' && head.path != "*" && head.method != "CONNECT") {
    throw HttpProtocolError(400, "the request target is no path");
  }
}

}  // namespace

struct HttpRequestReader::Impl {
  explicit Impl(std::size_t max_header_bytes) : reader(max_header_bytes) {}

  void make_head() {
    auto& parser = reader.parser();
    check_transfer_encoding(parser.headers, parser.version);
    check_host(parser.headers, parser.version);
    head = HttpHead{.method = std::move(parser.method),
                    .path = {},
                    .query = {},
                    .headers = std::move(parser.headers),
                    .minor_version = parser.version - 10,
                    .content_length = std::uint64_t{0},
                    .peer = {}};
    split_target(parser.target, head);
    if (parser.chunked()) {
      head.content_length.reset();
    } else if (const auto length = parser.content_length()) {
      head.content_length = *length;
    }
  }

  Reader<true> reader;
  HttpHead head;
};

HttpRequestReader::HttpRequestReader(std::size_t max_header_bytes)
    : impl_(std::make_unique<Impl>(max_header_bytes)) {}

HttpRequestReader::~HttpRequestReader() = default;

HttpEvent HttpRequestReader::next(std::string_view& input) {
  const HttpEvent event = impl_->reader.next(input);
  if (event == HttpEvent::head) impl_->make_head();
  return event;
}

HttpHead& HttpRequestReader::head() {
  return impl_->head;
}

std::string_view HttpRequestReader::body() const {
  return impl_->reader.parser().body;
}

bool HttpRequestReader::is_started() const {
  return impl_->reader.is_started();
}

bool HttpRequestReader::keep_alive() const {
  // HTTP/1.0 closes; its keep-alive extension would need an answer of its own.
  return impl_->reader.parser().version >= 11 && impl_->reader.parser().keep_alive();
}

void HttpRequestReader::reset() {
  impl_->reader.reset();
}

struct HttpResponseReader::Impl {
  explicit Impl(std::size_t max_header_bytes) : reader(max_header_bytes) {}
  Reader<false> reader;
  HttpResponse head;
};

HttpResponseReader::HttpResponseReader(std::size_t max_header_bytes)
    : impl_(std::make_unique<Impl>(max_header_bytes)) {}

HttpResponseReader::~HttpResponseReader() = default;

HttpEvent HttpResponseReader::next(std::string_view& input) {
  const HttpEvent event = impl_->reader.next(input);
  if (event == HttpEvent::head) {
    auto& parser = impl_->reader.parser();
    check_transfer_encoding(parser.headers, parser.version);
    impl_->head = {.status = parser.status, .headers = std::move(parser.headers), .body = {}};
  }
  return event;
}

HttpResponse& HttpResponseReader::head() {
  return impl_->head;
}

std::optional<std::uint64_t> HttpResponseReader::content_length() const {
  const auto length = impl_->reader.parser().content_length();
  return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

std::string_view HttpResponseReader::body() const {
  return impl_->reader.parser().body;
}

bool HttpResponseReader::keep_alive() const {
  return impl_->reader.parser().version >= 11 && impl_->reader.parser().keep_alive();
}

bool HttpResponseReader::end_of_stream() {
  auto& parser = impl_->reader.parser();
  if (!parser.got_some()) return false;
  beast::error_code error;
  parser.put_eof(error);
  return !error && parser.is_done();
}

void HttpResponseReader::reset(bool without_body) {
  impl_->reader.reset();
  impl_->reader.parser().skip(without_body);
}

}  // namespace zeroth
