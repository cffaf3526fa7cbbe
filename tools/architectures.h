// The architectures that zeroth init knows by name, as config.json objects.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace zeroth {

/// The object of "tiny-mla-moe", "tiny-dense" or "tiny-dense-student", or what stands in the
/// config.json that `name` is the path of. Vocabulary and special tokens are those of no tokenizer
/// yet. Throws InputError.
boost::json::object architecture_config(const std::string& name);

}  // namespace zeroth
