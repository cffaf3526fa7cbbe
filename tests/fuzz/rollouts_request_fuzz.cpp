// libFuzzer: any bytes are a request for rollouts, groups, a worker's health or a journal, or they
// are refused (a journal: cut); what was read reads the same when it is written again. The first
// byte of an input says what the others are.
//
//   tools/setup fuzz
//   TMPDIR=/dev/shm build/fuzz/tests/fuzz/rollouts_request_fuzz -max_len=4096
//   (with -dict=tests/fuzz/rollouts_request.dict)

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "rollout/journal.h"
#include "rollout/protocol.h"
#include "system/error.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void read_request(std::string_view bytes) {
  const zeroth::RolloutsRequest request = zeroth::read_rollouts_request(bytes, "fuzz");
  require(zeroth::num_completions(request) > 0 && zeroth::most_tokens(request) > 0);
  const std::string text = zeroth::write_rollouts_request(request);
  require(zeroth::write_rollouts_request(zeroth::read_rollouts_request(text, "fuzz")) == text);
}

void read_health(std::string_view bytes) {
  const std::string text = zeroth::write_health(zeroth::read_health(bytes, "fuzz"));
  require(zeroth::write_health(zeroth::read_health(text, "fuzz")) == text);
}

// Groups for as many requests as the second byte says.
void read_groups(std::string_view bytes) {
  if (bytes.empty()) return;
  zeroth::RolloutsRequest request{.weights_sha256 = {},
                                  .policy_version = 0,
                                  .sampling = {.max_new_tokens = 64},
                                  .requests = {}};
  request.requests.resize(
      static_cast<unsigned char>(bytes[0]) % 4,
      {.prompt = {1}, .num_generations = 1 + static_cast<unsigned char>(bytes[0]) % 2});
  bytes.remove_prefix(1);
  const auto groups = zeroth::read_groups(bytes, request, "fuzz");
  require(zeroth::write_groups(groups) == bytes);
}

// As it lies, or as the payload of a record whose checksum is right.
void read_journal(std::string_view bytes, bool as_payload) {
  static const zeroth::testing::TemporaryDirectory directory;
  static const std::string run(64, 'a');
  const zeroth::GenerateRequest request{.prompt = {1}, .step = 1};
  std::string text = "zeroth journal 1 " + run + "\n";
  if (as_payload) {
    const std::uint64_t size = bytes.size();
    text.append(reinterpret_cast<const char*>(&size), sizeof size);
    text += zeroth::sha256(bytes);
  }
  text += bytes;
  std::ofstream(directory / "step-000001.groups", std::ios::binary) << text;
  {
    zeroth::RolloutJournal journal(directory.path(), run, {});
    require(!journal.find(request, {}));  // nobody guesses the hash of a request
    journal.append(request, {}, {});
  }
  bool was_cut = false;
  zeroth::RolloutJournal again(directory.path(), run, [&](const std::string& note) {
    was_cut = was_cut || note.find("cut") != std::string::npos;
  });
  require(again.find(request, {}).has_value());
  require(!was_cut);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 5) {
      case 0:
        read_request(bytes);
        break;
      case 1:
        read_health(bytes);
        break;
      case 2:
        read_groups(bytes);
        break;
      default:
        read_journal(bytes, data[0] % 5 == 4);
    }
  } catch (const zeroth::InputError&) {  // refused, with a reason
  }
  return 0;
}
