// The one exception for anything that comes from outside: a file, a flag, a peer.
#pragma once

#include <stdexcept>
#include <string>

namespace zeroth {

/// Wrong input. `what()` reads "source: field: expected …, got …"; `field` may be empty.
/// Callers' misuse is std::invalid_argument; our own bugs are assertions.
class InputError : public std::runtime_error {
 public:
  struct Parts {
    std::string source;    // file (with :line where there is one), flag or peer
    std::string field;     // key path inside the source, e.g. "rope_scaling.factor"; may be empty
    std::string expected;  // "a multiple of num_attention_heads (32)"
    std::string actual;    // "4100"
  };

  explicit InputError(Parts parts);
  const Parts& parts() const noexcept { return parts_; }

 private:
  Parts parts_;
};

}  // namespace zeroth
