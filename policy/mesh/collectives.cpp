#include "policy/mesh/collectives.h"

#include <gloo/allgatherv.h>
#include <gloo/allreduce.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <stdexcept>

namespace zeroth {
namespace {

// Gloo's own limit on a wait. Who is lost is the mesh's to find; a rank that computes may take its
// time.
constexpr auto kNever = std::chrono::hours(24 * 365);
// A connection of Gloo's breaks a moment before or after the control connection of the same rank.
constexpr auto kUntilNamed = std::chrono::seconds(5);

// Gloo writes to its sockets without MSG_NOSIGNAL: while this lives, no signal reaches the thread
// that calls it or one that it starts, and a SIGPIPE that came is taken off at the end.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &former_);
  }
  ~SignalsBlocked() {
    if (sigismember(&former_, SIGPIPE) == 0) {
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      const timespec now{.tv_sec = 0, .tv_nsec = 0};
      sigtimedwait(&pipe, nullptr, &now);
    }
    pthread_sigmask(SIG_SETMASK, &former_, nullptr);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t former_;
};

// What Gloo wants to exchange when it connects, by way of the mesh: every rank sets the same number
// of values, in the same order.
class MeshStore : public gloo::rendezvous::Store {
 public:
  explicit MeshStore(Mesh& mesh) : mesh_(mesh) {}
  void set(const std::string& key, const std::vector<char>& data) override {
    for (const std::string& pair :
         mesh_.exchange(key + '\0' + std::string(data.begin(), data.end()))) {
      const std::size_t end = pair.find('\0');
      values_[pair.substr(0, end)].assign(pair.begin() + static_cast<std::ptrdiff_t>(end) + 1,
                                          pair.end());
    }
  }
  std::vector<char> get(const std::string& key) override { return values_.at(key); }
  void wait(const std::vector<std::string>& /*keys*/) override {}

 private:
  Mesh& mesh_;
  std::map<std::string, std::vector<char>> values_;
};

template <class Value>
void add(void* out, const void* a, const void* b, std::size_t count) {
  auto* sums = static_cast<Value*>(out);
  const auto* left = static_cast<const Value*>(a);
  const auto* right = static_cast<const Value*>(b);
  for (std::size_t i = 0; i < count; ++i) sums[i] = left[i] + right[i];
}

}  // namespace

struct Collectives::Gloo {
  explicit Gloo(Mesh& m) : mesh(m) {
    const SignalsBlocked blocked;
    gloo::transport::tcp::attr where;
    where.hostname = mesh.peers()[static_cast<std::size_t>(mesh.rank())].address;
    auto device = gloo::transport::tcp::CreateDevice(where);
    context = std::make_shared<gloo::rendezvous::Context>(mesh.rank(), mesh.size());
    context->setTimeout(std::chrono::minutes(1));
    MeshStore store(mesh);
    context->connectFullMesh(store, device);
    context->setTimeout(kNever);
    // A rank that is done at once must not be gone before the others have connected to it.
    mesh.exchange("connected");
    mesh.watch([this] { break_off(); });
  }
  ~Gloo() {
    mesh.unwatch();
    const SignalsBlocked blocked;
    context.reset();
  }

  // Ends a call of Gloo's that waits in another thread: a wait that runs out of time closes every
  // connection of its context, and that ends all the others.
  void break_off() {
    const SignalsBlocked blocked;
    for (int peer = 0; peer < context->size; ++peer) {
      if (peer == context->rank) continue;
      try {
        char byte = 0;
        const auto buffer = context->createUnboundBuffer(&byte, 1);
        buffer->recv(peer, kNobodysSlot);
        buffer->waitRecv(std::chrono::milliseconds(1));
      } catch (const std::exception&) {  // as meant
      }
    }
  }

  template <class Call>
  void run(const Call& call) {
    mesh.check();
    try {
      const SignalsBlocked blocked;
      call();
    } catch (const std::exception& error) {
      mesh.check_within(kUntilNamed);
      throw std::runtime_error(std::string("the ranks lost their connection: ") + error.what());
    }
  }

  template <class Value>
  void sum(Value* values, std::size_t count) {
    run([&] {
      gloo::AllreduceOptions options(context);
      options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
      options.setOutput(values, count);
      options.setReduceFunction(&add<Value>);
      gloo::allreduce(options);
    });
  }

  // Parts of the given sizes, one behind the other.
  std::string gather(std::string part, const std::vector<std::size_t>& sizes) {
    std::size_t total = 0;
    for (const std::size_t size : sizes) total += size;
    std::string all(total, '\0');
    run([&] {
      gloo::AllgathervOptions options(context);
      options.setInput(part.data(), part.size());
      options.setOutput(all.data(), sizes);
      gloo::allgatherv(options);
    });
    return all;
  }

  static constexpr std::uint64_t kNobodysSlot = ~std::uint64_t{0} >> 1;
  Mesh& mesh;
  std::shared_ptr<gloo::rendezvous::Context> context;
};

Collectives::Collectives() = default;

Collectives::Collectives(Mesh& mesh) : rank_(mesh.rank()), size_(mesh.size()) {
  if (size_ > 1) gloo_ = std::make_unique<Gloo>(mesh);
}

Collectives::~Collectives() = default;

Share Collectives::share(std::size_t count, int rank) const {
  const auto ranks = static_cast<std::size_t>(size_);
  const auto r = static_cast<std::size_t>(rank);
  return {.begin = count * r / ranks, .end = count * (r + 1) / ranks};
}

void Collectives::sum(std::span<float> values) {
  if (gloo_ && !values.empty()) gloo_->sum(values.data(), values.size());
}

void Collectives::sum(std::span<std::int64_t> values) {
  // Unsigned, so that wrapping around is defined.
  if (gloo_ && !values.empty())
    gloo_->sum(reinterpret_cast<std::uint64_t*>(values.data()), values.size());
}

std::vector<std::string> Collectives::gather(std::string_view bytes) {
  if (!gloo_) return {std::string(bytes)};
  const auto ranks = static_cast<std::size_t>(size_);
  const auto size = static_cast<std::uint64_t>(bytes.size());
  const std::string sizes_text =
      gloo_->gather(std::string(reinterpret_cast<const char*>(&size), sizeof size),
                    std::vector<std::size_t>(ranks, sizeof size));
  std::vector<std::size_t> sizes(ranks);
  std::memcpy(sizes.data(), sizes_text.data(), sizes_text.size());
  const std::string all = gloo_->gather(std::string(bytes), sizes);
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (const std::size_t part : sizes) {
    parts.push_back(all.substr(begin, part));
    begin += part;
  }
  return parts;
}

std::string Collectives::from_first(std::string_view bytes) {
  return gather(is_first() ? bytes : std::string_view())[0];
}

bool Collectives::any(bool value) {
  std::int64_t count = value ? 1 : 0;
  sum(std::span(&count, 1));
  return count > 0;
}

}  // namespace zeroth
